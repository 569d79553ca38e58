/**
 * Streams of blocks as one `Queryable`. A stream has external labels, which become labels of each of its series and win over stored ones.
 *
 *   stream {replica="a"}  up{job="x"}  up{job="y"} ─┐
 *   stream {replica="b"}  up{job="x"}  up{job="y"} ─┴─► up{job="x",replica="a"}  up{job="x",replica="b"}  up{job="y",replica="a"} …
 *
 * Batches are handed on as they are, with other labels and a part of their offsets; no sample is copied. Where external labels change the order
 * within a stream (`{a="1"}` stands before `{a="1",c="2"}`, with `b` added behind it), the stream is split into ascending chains, each read by itself.
 */
import { type ChunkQueryable, compareLabels, extendLabels, formatLabels, getLabel, hasLabel, type Labels, type Matcher, type Queryable, type SelectRequest, type SeriesBatch } from '@gauntlet/model';
import { ToolsError } from './errors.ts';

/** Blocks with the same external labels. */
export interface BlockStream {
  readonly labels: Labels;
  readonly queryable: Queryable & ChunkQueryable;
}

/** Most chains of one stream. */
const CHAINS_MAX = 64;

/** Matchers without those about external labels; undefined if one of them excludes the stream. */
export function matchersWithin(external: Labels, matchers: readonly Matcher[]): readonly Matcher[] | undefined {
  if (matchers.some((matcher) => hasLabel(external, matcher.name) && !matcher.matches(getLabel(external, matcher.name)))) return undefined;
  return matchers.filter(({ name }) => !hasLabel(external, name));
}

/**
 * Batches of all streams in label order.
 * @param turn called before each batch that is read; for taking turns with the event loop
 * @throws ToolsError ERR_QUERY_BLOCKS when a series is in two streams
 */
export async function* mergeStreams(streams: readonly BlockStream[], request: SelectRequest, turn: () => Promise<void>): AsyncGenerator<SeriesBatch> {
  const cursors: ChainCursor[] = [];
  try {
    for (const stream of streams) {
      const matchers = matchersWithin(stream.labels, request.matchers);
      if (matchers !== undefined) cursors.push(...(await openChains(stream, { ...request, matchers }, turn)));
    }
    let live = cursors;
    for (const cursor of cursors) await cursor.next();
    for (;;) {
      live = live.filter(({ labels }) => labels !== undefined);
      if (live.length === 0) return;
      const { least, limit } = twoLeast(live);
      const { from, batch } = least;
      const labels: Labels[] = [];
      // As many series as stand next to each other in the batch and come before all others.
      while (least.labels !== undefined && least.batch === batch && least.from === from + labels.length && (limit === undefined || comesBefore(least.labels, limit))) {
        labels.push(least.labels);
        least.step();
      }
      yield { ...batch!, labels, offsets: batch!.offsets.subarray(from, from + labels.length + 1) };
      if (least.labels === undefined) await least.next();
    }
  } finally {
    for (const cursor of cursors) await cursor.close();
  }
}

/** The cursor with the least labels, and the least labels of the others. */
function twoLeast(cursors: readonly ChainCursor[]): { readonly least: ChainCursor; readonly limit: Labels | undefined } {
  let least = cursors[0]!;
  let limit: Labels | undefined;
  for (let i = 1; i < cursors.length; i++) {
    const other = cursors[i]!;
    if (compareLabels(other.labels!, least.labels!) < 0) {
      limit = least.labels;
      least = other;
    } else if (limit === undefined || compareLabels(other.labels!, limit) < 0) limit = other.labels;
  }
  return { least, limit };
}

function comesBefore(labels: Labels, limit: Labels): boolean {
  const order = compareLabels(labels, limit);
  if (order === 0) throw new ToolsError('ERR_QUERY_BLOCKS', `select series: ${formatLabels(labels)} is there more than once; choose blocks by their external labels (--selector)`);
  return order < 0;
}

/** One cursor if the external labels leave the order as it is, else one per chain. */
async function openChains(stream: BlockStream, request: SelectRequest, turn: () => Promise<void>): Promise<ChainCursor[]> {
  if (stream.labels.length === 0) return [new ChainCursor(stream, request, turn, undefined)];
  const lastOf: Labels[] = [];
  let chains = new Uint8Array(1024);
  let count = 0;
  for await (const batch of stream.queryable.selectChunks({ ...request, skipChunks: true })) {
    await turn();
    for (const { labels } of batch) {
      const extended = extendLabels(labels, stream.labels);
      // The ends of the chains descend, so the first that fits is the nearest one.
      let chain = 0;
      while (chain < lastOf.length && compareLabels(lastOf[chain]!, extended) >= 0) chain++;
      if (chain === CHAINS_MAX) throw new ToolsError('ERR_QUERY_BLOCKS', `select series: external labels ${formatLabels(stream.labels)} hide or reorder too many stored labels, such as those of ${formatLabels(labels)}`);
      lastOf[chain] = extended;
      if (count === chains.length) {
        const wider = new Uint8Array(count * 2);
        wider.set(chains);
        chains = wider;
      }
      chains[count++] = chain;
    }
  }
  if (lastOf.length <= 1) return [new ChainCursor(stream, request, turn, undefined)];
  return lastOf.map((_last, chain) => new ChainCursor(stream, request, turn, { chains, chain }));
}

/** Position in the series of a stream, or of one of its chains. */
class ChainCursor {
  readonly #stream: BlockStream;
  readonly #turn: () => Promise<void>;
  readonly #batches: AsyncIterator<SeriesBatch>;
  readonly #membership: Membership | undefined;
  /** Labels of the batch's series; undefined for those of other chains. */
  #extended: (Labels | undefined)[] = [];
  batch: SeriesBatch | undefined;
  /** Index in the batch. */
  from = 0;
  /** Labels here; undefined: the batch is used up (`next`), or it is the end. */
  labels: Labels | undefined;

  constructor(stream: BlockStream, request: SelectRequest, turn: () => Promise<void>, part: { readonly chains: Uint8Array; readonly chain: number } | undefined) {
    this.#stream = stream;
    this.#turn = turn;
    this.#batches = stream.queryable.select(request)[Symbol.asyncIterator]();
    this.#membership = part === undefined ? undefined : new Membership(stream.queryable.selectChunks({ ...request, skipChunks: true }), part.chains, part.chain);
  }

  /** Goes to the first series of the next batch that has one; `labels` stays undefined at the end. */
  async next(): Promise<void> {
    while (this.labels === undefined) {
      await this.#turn();
      const { done, value } = await this.#batches.next();
      if (done === true) return;
      this.batch = value;
      this.#extended = [];
      for (const labels of value.labels) this.#extended.push((await this.#membership?.has(labels)) === false ? undefined : extendLabels(labels, this.#stream.labels));
      this.from = -1;
      this.step();
    }
  }

  /** Goes to the next series of this batch. */
  step(): void {
    do this.from++;
    while (this.from < this.#extended.length && this.#extended[this.from] === undefined);
    this.labels = this.#extended[this.from];
  }

  async close(): Promise<void> {
    await this.#batches.return?.();
    await this.#membership?.close();
  }
}

/** Says of series, asked for in order, whether they belong to a chain: walks all series of the stream beside them. */
class Membership {
  readonly #series: AsyncIterator<readonly { readonly labels: Labels }[]>;
  readonly #chains: Uint8Array;
  readonly #chain: number;
  #batch: readonly { readonly labels: Labels }[] = [];
  #at = 0;
  #index = 0;

  constructor(series: AsyncIterable<readonly { readonly labels: Labels }[]>, chains: Uint8Array, chain: number) {
    this.#series = series[Symbol.asyncIterator]();
    this.#chains = chains;
    this.#chain = chain;
  }

  async has(labels: Labels): Promise<boolean> {
    for (;;) {
      for (; this.#at < this.#batch.length; this.#at++, this.#index++) {
        if (compareLabels(this.#batch[this.#at]!.labels, labels) >= 0) return this.#chains[this.#index] === this.#chain;
      }
      const { done, value } = await this.#series.next();
      if (done === true) return false;
      this.#batch = value;
      this.#at = 0;
    }
  }

  async close(): Promise<void> {
    await this.#series.return?.();
  }
}
