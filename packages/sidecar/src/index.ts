/** The seam of sidecar. README.md has the reading order. */
export { SidecarError, type SidecarErrorCode } from './errors.ts';
export { type SidecarConfig, type SidecarFlags, sidecarFlags, type SidecarOwnFlags } from './flags.ts';
export { createPrometheusTransport, readTransportSettings } from './http-client-config.ts';
export { type PrometheusAnswer, PrometheusClient, PrometheusStatusError } from './prometheus-client.ts';
export { parseExternalLabels, PrometheusMeta, type PrometheusMetaDeps, type PrometheusMetaOptions, type UploadCheck } from './prometheus-meta.ts';
export { createPrometheusStore, type PrometheusStoreDeps, type ReadCost } from './prometheus-store.ts';
export { openTransport, type PrometheusTransport, type TransportSettings } from './prometheus-transport.ts';
export { createReloader, type Reloader, type ReloaderDeps, type ReloaderOptions } from './reloader.ts';
export { createSidecar, main, run, type Sidecar, type SidecarDeps } from './sidecar.ts';
export type { PrometheusFacts, StoreReport, StoreTask, WorkerSettings } from './store-task.ts';
export { createStoreWorkers, type StoreWorkers, type StoreWorkersDeps } from './store-workers.ts';
export { type SpoolOptions, spoolWhenStalled } from './spool.ts';
