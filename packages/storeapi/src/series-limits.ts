/** Limits per request on what a store may answer (`--store.limits.request-series`, `--store.limits.request-samples`). */
import { createSeriesFrame, decodeSeriesFrame } from '@gauntlet/proto';
import { StoreError } from './errors.ts';
import type { Store } from './store.ts';

/** As Thanos counts: a chunk is taken for full. */
const SAMPLES_PER_CHUNK = 120;

export interface SeriesLimits {
  /** Most series of one Series call; 0 has no limit. */
  readonly seriesMax: number;
  /** Most samples of one Series call, each chunk counted as 120; 0 has no limit. */
  readonly samplesMax: number;
}

/** `store` with limits; past one a Series call ends with ERR_STORE_RESOURCE_EXHAUSTED. */
export function limitSeries(store: Store, limits: SeriesLimits): Store {
  if (limits.seriesMax === 0 && limits.samplesMax === 0) return store;
  return {
    series: (request, options) => limitFrames(store.series(request, options), limits),
    labelNames: (request, options) => store.labelNames(request, options),
    labelValues: (request, options) => store.labelValues(request, options),
    info: () => store.info(),
  };
}

async function* limitFrames(frames: AsyncIterable<Uint8Array>, limits: SeriesLimits): AsyncGenerator<Uint8Array> {
  const frame = createSeriesFrame();
  let series = 0;
  let samples = 0;
  for await (const bytes of frames) {
    decodeSeriesFrame(bytes, frame);
    series += frame.seriesCount;
    samples += frame.chunkCount * SAMPLES_PER_CHUNK;
    if (limits.seriesMax > 0 && series > limits.seriesMax) throw exceeded('series', limits.seriesMax, series);
    if (limits.samplesMax > 0 && samples > limits.samplesMax) throw exceeded('samples', limits.samplesMax, samples);
    yield bytes;
  }
}

function exceeded(what: string, limit: number, got: number): StoreError {
  return new StoreError('ERR_STORE_RESOURCE_EXHAUSTED', `exceeded ${what} limit: limit ${limit} violated (got ${got})`);
}
