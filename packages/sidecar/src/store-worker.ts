/**
 * Entry of the store workers: a call of the Store, Rules or Exemplars API runs here whole, from the request to Prometheus to frames. The main thread only moves
 * what comes out. Loads nothing of the servers.
 */
import { BroadcastChannel } from 'node:worker_threads';
import { createKernels, type Kernels } from '@gauntlet/kernels';
import { poolData, serveTasks } from '@gauntlet/service-kit/worker';
import { limitSeries, sendFrames, type Store } from '@gauntlet/storeapi';
import { PrometheusClient } from './prometheus-client.ts';
import { prometheusExemplars } from './prometheus-exemplars.ts';
import { prometheusRules } from './prometheus-rules.ts';
import { createPrometheusStore } from './prometheus-store.ts';
import { openTransport } from './prometheus-transport.ts';
import type { PrometheusFacts, StoreReport, StoreTask, WorkerSettings } from './store-task.ts';

/** Linear memory for samples of old servers: a chunk's worth at a time. */
const KERNEL_BYTES_MAX = 16 << 20;

const settings = poolData() as WorkerSettings;
const client = new PrometheusClient(new URL(settings.prometheusUrl), openTransport(settings.transport));
const channel = new BroadcastChannel(settings.reports);
const report = (value: StoreReport): void => channel.postMessage(value);
let kernels: Kernels | undefined;

function storeOver(facts: PrometheusFacts): Store {
  const store = createPrometheusStore({
    client,
    // Asked for only by answers in samples.
    get kernels() {
      return (kernels ??= createKernels({ maxMemoryBytes: KERNEL_BYTES_MAX }));
    },
    externalLabels: () => facts.externalLabels,
    timeRange: () => facts.timeRange,
    version: () => facts.version,
    onRead: (cost) => report({ kind: 'read', cost }),
    spool: { ...settings.spool, onSpool: () => report({ kind: 'spooled' }) },
  });
  return limitSeries(store, settings.limits);
}

serveTasks(async (request, task) => {
  const { call, facts } = request as StoreTask;
  if (call.kind === 'rules') {
    // Comes with the HTTP API: 1.4 MB and 40 ms that most workers never need.
    const { readRuleGroups } = await import('@gauntlet/http-api/worker');
    const frames = prometheusRules({ client, externalLabels: facts.externalLabels, readRuleGroups }, call.request, task.signal);
    await sendFrames(frames, (piece, transfer) => task.send(piece, transfer), () => task.throwIfCancelled());
    return { value: undefined };
  }
  if (call.kind === 'exemplars') {
    const { readExemplars } = await import('@gauntlet/http-api/worker');
    const frames = prometheusExemplars({ client, externalLabels: facts.externalLabels, readExemplars }, call.request, task.signal);
    await sendFrames(frames, (piece, transfer) => task.send(piece, transfer), () => task.throwIfCancelled());
    return { value: undefined };
  }
  const store = storeOver(facts);
  const options = { signal: task.signal };
  switch (call.kind) {
    case 'series':
      await sendFrames(store.series(call.request, options), (piece, transfer) => task.send(piece, transfer), () => task.throwIfCancelled());
      return { value: undefined };
    case 'labelNames':
      return { value: await store.labelNames(call.request, options) };
    case 'labelValues':
      return { value: await store.labelValues(call.request, options) };
  }
});
