export { SidecarError, type SidecarErrorCode } from './errors.ts';
export { type SidecarConfig, type SidecarFlags, sidecarFlags, type SidecarOwnFlags } from './flags.ts';
export { createPrometheusTransport, type PrometheusTransport } from './http-client-config.ts';
export { type LabelCall, type PrometheusAnswer, PrometheusClient, PrometheusStatusError } from './prometheus-client.ts';
export { parseExternalLabels, PrometheusMeta, type PrometheusMetaDeps, type PrometheusMetaOptions, type UploadCheck } from './prometheus-meta.ts';
export { createPrometheusStore, type PrometheusStoreDeps } from './prometheus-store.ts';
export { createReloader, type Reloader, type ReloaderDeps, type ReloaderOptions } from './reloader.ts';
export { createSidecar, main, run, type Sidecar, type SidecarDeps } from './sidecar.ts';
export { type SpoolOptions, spoolWhenStalled } from './spool.ts';
