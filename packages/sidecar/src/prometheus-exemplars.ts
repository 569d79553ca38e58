/**
 * The exemplars of the Prometheus beside the sidecar, as messages of the Exemplars API: its own answer with external labels on every series. Runs in a
 * store worker. Source of behaviour: Thanos pkg/exemplars/prometheus.go, pkg/promclient/promclient.go (ExemplarsInGRPC).
 */
import { extendLabels, type Labels } from '@gauntlet/model';
import type { ExemplarSeries, ExemplarsRequest } from '@gauntlet/proto';
import { encodeExemplars, StoreError } from '@gauntlet/storeapi';
import type { PrometheusClient } from './prometheus-client.ts';

/** What {@link prometheusExemplars} needs. */
export interface PrometheusExemplarsDeps {
  readonly client: Pick<PrometheusClient, 'get'>;
  readonly externalLabels: Labels;
  /** http-api's `readExemplars`. */
  readonly readExemplars: (data: unknown) => readonly ExemplarSeries[];
}

/** Times that a Prometheus reads: those near the int64 limits, which stand for "any", it does not. */
const TIME_MAX_MS = 8_640_000_000_000_000;

/** Asks Prometheus and yields a message per series. @throws StoreError, or the signal's reason */
export function prometheusExemplars({ client, externalLabels, readExemplars }: PrometheusExemplarsDeps, request: ExemplarsRequest, signal?: AbortSignal): AsyncGenerator<Uint8Array, void> {
  const seconds = (timeMs: number): string => String(Math.max(-TIME_MAX_MS, Math.min(TIME_MAX_MS, timeMs)) / 1000);
  const query: [string, string][] = [['end', seconds(request.end)], ['query', request.query], ['start', seconds(request.start)]];
  const found = client.get('/api/v1/query_exemplars', query, signal).then((data) => {
    try {
      return readExemplars(data).map(({ labels, exemplars }) => ({ labels: extendLabels(labels, externalLabels), exemplars }));
    } catch (error) {
      throw new StoreError('ERR_STORE_INTERNAL', `read /api/v1/query_exemplars of Prometheus: ${(error as Error).message}`, { cause: error });
    }
  });
  return encodeExemplars(found);
}
