/** Series for the contract cases, and a ChunkQueryable over arrays. Chunk payloads are made up: stores pass them on unread. */
import { compareUtf8 } from '@gauntlet/bytes';
import { type ChunkQueryable, type ChunkSeries, compareLabels, getLabel, type LabelQuery, type Labels, labelsFromMap, type Matcher } from '@gauntlet/model';

/** External labels of the store under test. */
export const FIXTURE_EXTERNAL_LABELS: Labels = ['cluster', 'eu', 'replica', 'a'];

/** First and last timestamp of the fixture, ms. */
export const FIXTURE_MINT = 1_000_000;
export const FIXTURE_MAXT = 1_299_999;

function series(labels: Record<string, string>, chunks: number, seed: number): ChunkSeries {
  return {
    labels: labelsFromMap(labels),
    chunks: Array.from({ length: chunks }, (_, i) => ({
      mint: FIXTURE_MINT + i * 100_000,
      maxt: FIXTURE_MINT + i * 100_000 + 99_999,
      encoding: 1 + (seed % 4),
      data: Uint8Array.from({ length: 20 + seed }, (__, b) => (b * 7 + seed * 13 + i) & 255),
    })),
  };
}

/**
 * Sorted by labels. Among them: labels that an external one overrides, a series whose labels begin another's (external labels
 * change their order), names past U+FFFF, and series without a metric name.
 */
export const FIXTURE_SERIES: readonly ChunkSeries[] = [
  series({ __name__: 'up', instance: 'a', job: 'api' }, 3, 1),
  series({ __name__: 'up', instance: 'b', job: 'api' }, 3, 2),
  series({ __name__: 'up', instance: 'c', job: 'db' }, 2, 3),
  series({ __name__: 'up' }, 1, 4),
  series({ __name__: 'up', b: 'x' }, 1, 5),
  series({ __name__: 'load', cluster: 'own', job: 'api' }, 1, 6),
  series({ __name__: 'load', job: 'db', replica: 'own' }, 2, 7),
  series({ __name__: 'größe', job: '\u{1f600}' }, 1, 8),
  series({ __name__: 'größe', job: '\uffff' }, 1, 9),
  series({ zone: 'nameless' }, 1, 10),
  series({ action: 'nameless' }, 1, 11),
].toSorted((a, b) => compareLabels(a.labels, b.labels));

/** A ChunkQueryable over `series` (sorted), in batches of `batchSize`. */
export function createMemoryChunkQueryable(all: readonly ChunkSeries[], batchSize = 3): ChunkQueryable {
  const matching = (matchers: readonly Matcher[], mint: number, maxt: number): ChunkSeries[] =>
    all
      .filter((s) => matchers.every((m) => m.matches(getLabel(s.labels, m.name))))
      .map((s) => ({ labels: s.labels, chunks: s.chunks.filter((c) => c.maxt >= mint && c.mint <= maxt) }))
      .filter((s) => s.chunks.length > 0);
  const answer = (values: Iterable<string>, query: LabelQuery): { values: string[]; warnings: [] } => {
    const sorted = [...new Set(values)].toSorted(compareUtf8);
    return { values: query.limit > 0 ? sorted.slice(0, query.limit) : sorted, warnings: [] };
  };
  return {
    async *selectChunks(request) {
      const found = matching(request.matchers, request.mint, request.maxt);
      for (let i = 0; i < found.length; i += batchSize) {
        request.signal?.throwIfAborted();
        yield found.slice(i, i + batchSize);
      }
    },
    labelNames: async (query) => answer(matching(query.matchers, query.mint, query.maxt).flatMap((s) => s.labels.filter((_, i) => i % 2 === 0)), query),
    labelValues: async (name, query) =>
      answer(matching(query.matchers, query.mint, query.maxt).map((s) => getLabel(s.labels, name)).filter((value) => value !== ''), query),
  };
}
