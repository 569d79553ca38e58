/**
 * The contract of Store, to be run over every implementation that holds FIXTURE_SERIES under FIXTURE_EXTERNAL_LABELS:
 *
 *   for (const { name, run } of storeCases()) test(name, () => run(store));
 */
import { deepStrictEqual, ok, rejects, strictEqual } from 'node:assert/strict';
import { compareLabels, extendLabels, getLabel, type Labels, withoutLabels } from '@gauntlet/model';
import {
  createSeriesFrame,
  decodeSeriesFrame,
  EMPTY_LABEL_NAMES_REQUEST,
  EMPTY_SERIES_REQUEST,
  frameLabels,
  framePartData,
  type LabelMatcher,
  type LabelNamesRequest,
  type LabelValuesRequest,
  PARTIAL_RESPONSE,
  type SeriesRequest,
} from '@gauntlet/proto';
import type { Store } from '../store.ts';
import { FIXTURE_EXTERNAL_LABELS, FIXTURE_MAXT, FIXTURE_MINT, FIXTURE_SERIES } from './store-fixture.ts';

/** One case of the contract. */
export interface StoreCase {
  readonly name: string;
  /** @throws AssertionError */
  readonly run: (store: Store) => Promise<void>;
}

/** A series as read back from frames. */
export interface ReadSeries {
  readonly labels: Labels;
  /** First and last timestamp, encoding, data as hex. */
  readonly chunks: readonly (readonly [number, number, number, string])[];
}

/** Reads a Series answer: series with consecutive pieces joined, warnings, and the number of series in each frame. */
export async function readSeries(frames: AsyncIterable<Uint8Array>): Promise<{ series: ReadSeries[]; warnings: string[]; frameSizes: number[] }> {
  const frame = createSeriesFrame();
  const series: { labels: Labels; chunks: [number, number, number, string][] }[] = [];
  const warnings: string[] = [];
  const frameSizes: number[] = [];
  for await (const bytes of frames) {
    decodeSeriesFrame(bytes, frame);
    if (frame.warning !== undefined) warnings.push(frame.warning);
    if (frame.seriesCount > 0) frameSizes.push(frame.seriesCount);
    for (let s = 0; s < frame.seriesCount; s++) {
      const labels = frameLabels(frame, s);
      let last = series.at(-1);
      if (last === undefined || compareLabels(last.labels, labels) !== 0) series.push((last = { labels, chunks: [] }));
      for (let c = frame.chunkOffsets[s]!; c < frame.chunkOffsets[s + 1]!; c++) {
        const part = frame.partOffsets[c]!;
        last.chunks.push([frame.chunkMint[c]!, frame.chunkMaxt[c]!, frame.partEncoding[part]!, Buffer.from(framePartData(frame, part)).toString('hex')]);
      }
    }
  }
  return { series, warnings, frameSizes };
}

/** A matcher in the notation `name=value`, `name!=value`, `name=~value`, `name!~value`. */
export function matcher(text: string): LabelMatcher {
  const found = /^([^=!]*)(=~|!~|!=|=)(.*)$/u.exec(text)!;
  return { type: ['=', '!=', '=~', '!~'].indexOf(found[2]!), name: found[1]!, value: found[3]! };
}

/** A Series request over the whole fixture, ABORT, with these matchers. */
export function seriesOf(matchers: readonly string[], override: Partial<SeriesRequest> = {}): SeriesRequest {
  return {
    ...EMPTY_SERIES_REQUEST,
    minTime: FIXTURE_MINT,
    maxTime: FIXTURE_MAXT,
    partialResponseStrategy: PARTIAL_RESPONSE.abort,
    matchers: matchers.map(matcher),
    ...override,
  };
}

function namesOf(override: Partial<LabelNamesRequest> = {}): LabelNamesRequest {
  return { ...EMPTY_LABEL_NAMES_REQUEST, start: FIXTURE_MINT, end: FIXTURE_MAXT, partialResponseStrategy: PARTIAL_RESPONSE.abort, ...override };
}

function valuesOf(label: string, override: Partial<LabelValuesRequest> = {}): LabelValuesRequest {
  return { ...namesOf(override), label, ...override };
}

/** What the fixture must give. */
function expected(keep: (labels: Labels) => boolean, without: readonly string[] = [], mint = FIXTURE_MINT, maxt = FIXTURE_MAXT): ReadSeries[] {
  const removed = new Set(without);
  const rows = FIXTURE_SERIES.filter((s) => keep(s.labels))
    .map((s) => ({
      labels: extendLabels(withoutLabels(s.labels, removed), withoutLabels(FIXTURE_EXTERNAL_LABELS, removed)),
      chunks: s.chunks.filter((c) => c.maxt >= mint && c.mint <= maxt).map((c) => [c.mint, c.maxt, c.encoding, Buffer.from(c.data).toString('hex')] as const),
    }))
    .filter((s) => s.chunks.length > 0)
    .toSorted((a, b) => compareLabels(a.labels, b.labels));
  const joined: { labels: Labels; chunks: (readonly [number, number, number, string])[] }[] = [];
  for (const row of rows) {
    const last = joined.at(-1);
    if (last !== undefined && compareLabels(last.labels, row.labels) === 0) last.chunks.push(...row.chunks);
    else joined.push({ labels: row.labels, chunks: [...row.chunks] });
  }
  return joined;
}

/** Chunks of series that became equal come in no promised order. */
function sortedChunks(series: readonly ReadSeries[]): ReadSeries[] {
  return series.map((s) => ({ labels: s.labels, chunks: s.chunks.toSorted((a, b) => a[0] - b[0] || (a[3] < b[3] ? -1 : 1)) }));
}

const is = (name: string, value: string) => (labels: Labels): boolean => getLabel(labels, name) === value;

const SELECTIONS: readonly { readonly name: string; readonly matchers: readonly string[]; readonly keep: (labels: Labels) => boolean }[] = [
  { name: 'everything', matchers: ['__name__!=none'], keep: () => true },
  { name: 'equal', matchers: ['__name__=up'], keep: is('__name__', 'up') },
  { name: 'not equal', matchers: ['__name__=up', 'job!=api'], keep: (l) => is('__name__', 'up')(l) && !is('job', 'api')(l) },
  { name: 'regex', matchers: ['instance=~a|b'], keep: (l) => ['a', 'b'].includes(getLabel(l, 'instance')) },
  { name: 'regex negated', matchers: ['__name__=up', 'instance!~a|b'], keep: (l) => is('__name__', 'up')(l) && !['a', 'b'].includes(getLabel(l, 'instance')) },
  { name: 'label absent', matchers: ['__name__=~.+', 'job='], keep: (l) => getLabel(l, '__name__') !== '' && getLabel(l, 'job') === '' },
  { name: 'no metric name', matchers: ['__name__=', 'zone!=x'], keep: is('__name__', '') },
  { name: 'external label that matches', matchers: ['__name__=up', 'cluster=eu', 'replica=~a|b'], keep: is('__name__', 'up') },
  { name: 'external label that does not match', matchers: ['__name__=up', 'cluster!=eu'], keep: () => false },
  { name: 'external label asked to be absent', matchers: ['__name__=up', 'cluster='], keep: () => false },
];

async function statusOf(call: () => Promise<unknown>, code: string, message: RegExp): Promise<void> {
  await rejects(call, (error: unknown) => {
    strictEqual((error as { code?: unknown }).code, code);
    ok(message.test((error as Error).message), `message: ${(error as Error).message}`);
    return true;
  });
}

/** The cases. */
export function storeCases(): StoreCase[] {
  return [
    ...SELECTIONS.map(({ name, matchers, keep }) => ({
      name: `series: ${name}`,
      run: async (store: Store) => {
        const { series, warnings } = await readSeries(store.series(seriesOf(matchers)));
        deepStrictEqual(series, expected(keep));
        deepStrictEqual(warnings, []);
      },
    })),
    {
      name: 'series: time range, both ends inclusive',
      run: async (store) => {
        for (const [mint, maxt] of [
          [FIXTURE_MINT + 99_999, FIXTURE_MINT + 99_999],
          [FIXTURE_MINT + 100_000, FIXTURE_MINT + 200_000],
          [0, FIXTURE_MINT - 1],
          [FIXTURE_MAXT + 1, FIXTURE_MAXT + 2],
        ] as const) {
          const { series } = await readSeries(store.series(seriesOf(['__name__=up'], { minTime: mint, maxTime: maxt })));
          deepStrictEqual(series, expected(is('__name__', 'up'), [], mint, maxt));
        }
      },
    },
    {
      name: 'series: no chunks on request',
      run: async (store) => {
        const { series } = await readSeries(store.series(seriesOf(['__name__=up'], { skipChunks: true })));
        deepStrictEqual(series, expected(is('__name__', 'up')).map((s) => ({ labels: s.labels, chunks: [] })));
      },
    },
    {
      name: 'series: without replica labels, still sorted, equal series next to each other',
      run: async (store) => {
        for (const without of [['replica'], ['replica', 'instance'], ['cluster', 'replica', 'job'], ['__name__'], ['nothing']]) {
          const { series } = await readSeries(store.series(seriesOf(['__name__!=none'], { withoutReplicaLabels: without })));
          deepStrictEqual(sortedChunks(series), sortedChunks(expected(() => true, without)));
        }
      },
    },
    {
      name: 'series: limit',
      run: async (store) => {
        const all = expected(() => true);
        for (const limit of [1, 4, all.length, all.length + 5]) {
          const { series } = await readSeries(store.series(seriesOf(['__name__!=none'], { limit })));
          ok(series.length <= limit);
          deepStrictEqual(series, all.slice(0, limit));
        }
      },
    },
    {
      name: 'series: batches',
      run: async (store) => {
        for (const size of [0, 1, 2, 64]) {
          const { series, frameSizes } = await readSeries(store.series(seriesOf(['__name__!=none'], { responseBatchSize: size })));
          deepStrictEqual(series, expected(() => true));
          ok(frameSizes.every((n) => n <= Math.max(1, size)), `frames of ${frameSizes.join()}`);
          if (size === 64) strictEqual(frameSizes.length, 1);
        }
      },
    },
    {
      name: 'series: shards cover everything once',
      run: async (store) => {
        for (const [by, labels] of [
          [true, ['job', 'instance']],
          [false, ['job']],
          [true, []],
        ] as const) {
          const found: ReadSeries[] = [];
          for (let shardIndex = 0; shardIndex < 3; shardIndex++) {
            const shardInfo = { shardIndex, totalShards: 3, by, labels };
            found.push(...(await readSeries(store.series(seriesOf(['__name__!=none'], { shardInfo })))).series);
          }
          deepStrictEqual(found.toSorted((a, b) => compareLabels(a.labels, b.labels)), expected(() => true));
        }
      },
    },
    {
      name: 'series: refused requests',
      run: async (store) => {
        await statusOf(() => readSeries(store.series(seriesOf([]))), 'ERR_STORE_INVALID_ARGUMENT', /^no matchers specified \(excluding (external|selector) labels\)$/);
        await statusOf(() => readSeries(store.series(seriesOf(['job=~('] ))), 'ERR_STORE_INVALID_ARGUMENT', /^error parsing regexp: missing closing \): `\(`$/);
        await statusOf(() => readSeries(store.series({ ...seriesOf([]), matchers: [{ type: 9, name: 'a', value: 'b' }] })), 'ERR_STORE_INVALID_ARGUMENT', /matcher type 9/);
      },
    },
    {
      name: 'series: can be left early and aborted',
      run: async (store) => {
        for await (const frame of store.series(seriesOf(['__name__!=none']))) {
          ok(frame.length > 0);
          break;
        }
        const abort = new AbortController();
        abort.abort();
        await rejects(() => readSeries(store.series(seriesOf(['__name__!=none']), { signal: abort.signal })));
        const later = new AbortController();
        await rejects(async () => {
          for await (const _ of store.series(seriesOf(['__name__!=none']), { signal: later.signal })) later.abort();
          // A short answer may be complete before the abort is seen; that is as good.
          throw new Error('ended');
        });
      },
    },
    {
      name: 'label names',
      run: async (store) => {
        const names = async (override: Partial<LabelNamesRequest>): Promise<readonly string[]> => (await store.labelNames(namesOf(override))).names;
        deepStrictEqual(await names({}), ['__name__', 'action', 'b', 'cluster', 'instance', 'job', 'replica', 'zone']);
        deepStrictEqual(await names({ matchers: [matcher('__name__=load')] }), ['__name__', 'cluster', 'job', 'replica']);
        deepStrictEqual(await names({ matchers: [matcher('__name__=load'), matcher('cluster=eu')] }), ['__name__', 'cluster', 'job', 'replica']);
        deepStrictEqual(await names({ matchers: [matcher('cluster=us')] }), []);
        deepStrictEqual(await names({ matchers: [matcher('__name__=none')] }), []);
        deepStrictEqual(await names({ withoutReplicaLabels: ['replica', 'instance'] }), ['__name__', 'action', 'b', 'cluster', 'job', 'zone']);
        deepStrictEqual(await names({ start: 0, end: 1 }), []);
        await statusOf(() => names({ matchers: [matcher('job=~(')] }), 'ERR_STORE_INVALID_ARGUMENT', /missing closing \)/);
      },
    },
    {
      name: 'label values',
      run: async (store) => {
        const values = async (label: string, override: Partial<LabelValuesRequest> = {}): Promise<readonly string[]> =>
          (await store.labelValues(valuesOf(label, override))).values;
        deepStrictEqual(await values('__name__'), ['größe', 'load', 'up']);
        deepStrictEqual(await values('job'), ['api', 'db', '\uffff', '\u{1f600}']);
        deepStrictEqual(await values('job', { limit: 1 }), ['api']);
        deepStrictEqual(await values('job', { matchers: [matcher('__name__=load')] }), ['api', 'db']);
        deepStrictEqual(await values('none'), []);
        deepStrictEqual(await values('cluster'), ['eu']);
        deepStrictEqual(await values('cluster', { matchers: [matcher('__name__=up')] }), ['eu']);
        deepStrictEqual(await values('cluster', { matchers: [matcher('__name__=none')] }), []);
        deepStrictEqual(await values('job', { matchers: [matcher('cluster=us')] }), []);
        deepStrictEqual(await values('job', { withoutReplicaLabels: ['job'] }), []);
        await statusOf(() => values(''), 'ERR_STORE_INVALID_ARGUMENT', /^label name parameter cannot be empty$/);
      },
    },
    {
      name: 'info',
      run: async (store) => {
        const info = store.info();
        deepStrictEqual(info.labelSets, [FIXTURE_EXTERNAL_LABELS]);
        ok(info.mint <= FIXTURE_MINT && info.maxt >= FIXTURE_MAXT);
        ok(info.supportsSharding && info.supportsWithoutReplicaLabels);
      },
    },
  ];
}
