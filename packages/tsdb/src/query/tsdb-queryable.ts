/**
 * Blocks and head as a `Queryable` and a `ChunkQueryable`.
 *
 *   matchers ─► match-postings (per source) ─► merge-series ─► chunk-batch ─► decode-batch ─► columns
 *                                                                        └─► raw chunks, for a StoreAPI server
 *
 * Sources are held from the first step of an iteration to its end, whatever happens to blocks meanwhile.
 */
import { compareUtf8 } from '@gauntlet/bytes';
import type { Kernels } from '@gauntlet/kernels';
import type { ChunkQueryable, ChunkSeries, LabelAnswer, LabelQuery, Queryable, RawChunk, SelectRequest, SeriesBatch, SeriesSet, Warnings } from '@gauntlet/model';
import type { Block } from '../block/block-reader.ts';
import { TsdbError } from '../errors.ts';
import { intersectPostings } from '../index-file/postings.ts';
import { createBlockSource } from './block-source.ts';
import { ChunkBatch } from './chunk-batch.ts';
import { BatchDecoder } from './decode-batch.ts';
import { loadIntoBuffer } from './load-chunks.ts';
import { matchPostings } from './match-postings.ts';
import { mergeSeries } from './merge-series.ts';
import { isRecodable, recodeWithout } from './recode-chunk.ts';
import type { Projection, SeriesSource } from './series-source.ts';

/** The sources of a moment, and what could not be among them. */
export interface SourceView {
  readonly sources: readonly SeriesSource[];
  readonly warnings: Warnings;
}

/** Selects from whatever `view` says there is when a selection begins. */
export interface TsdbQueryables {
  readonly queryable: Queryable;
  readonly chunkQueryable: ChunkQueryable;
}

/** Values of a label are tested one by one against the matching series up to this many, else read from the series. */
const VALUES_TESTED_MAX = 4096;

interface Opened {
  readonly sources: readonly SeriesSource[];
  readonly cursors: ReturnType<SeriesSource['cursor']>[];
  readonly warnings: Warnings;
  release(): void;
}

/** Makes both interfaces over the same sources. */
export function createQueryables(view: (mint: number, maxt: number) => SourceView, kernels: Kernels): TsdbQueryables {
  const open = (request: Pick<SelectRequest, 'matchers' | 'mint' | 'maxt' | 'signal'>, hinted?: Projection): Opened => {
    request.signal?.throwIfAborted();
    const { sources, warnings } = view(request.mint, request.maxt);
    // Series of several sources are told apart by all of their labels.
    const projection = sources.length === 1 ? hinted : undefined;
    const releases: (() => void)[] = [];
    const release = (): void => {
      for (const one of releases.splice(0)) one();
    };
    try {
      for (const source of sources) releases.push(source.hold());
      const cursors = sources.map((source) => {
        request.signal?.throwIfAborted();
        return source.cursor(matchPostings(source.index, request.matchers, kernels), Math.max(request.mint, source.mint), Math.min(request.maxt, source.maxt), projection);
      });
      return { sources, cursors, warnings, release };
    } catch (error) {
      release();
      throw error;
    }
  };

  const select = (request: SelectRequest): SeriesSet => {
    let warnings: Warnings = [];
    async function* batches(): AsyncGenerator<SeriesBatch> {
      const { hints } = request;
      const opened = open(request, hints?.projection);
      warnings = opened.warnings;
      const decoder = new BatchDecoder(kernels, opened.sources);
      try {
        const merge = mergeSeries(opened.cursors);
        const batch = new ChunkBatch(opened.sources);
        while (batch.fill(merge, opened.cursors)) {
          request.signal?.throwIfAborted();
          const columns = decoder.decode(batch, request.mint, request.maxt, hints?.newestOnly);
          if (columns.labels.length > 0) yield columns;
        }
      } finally {
        decoder.free();
        opened.release();
      }
    }
    return { [Symbol.asyncIterator]: batches, warnings: () => warnings };
  };

  async function* selectChunks(request: SelectRequest & { readonly skipChunks?: boolean }): AsyncGenerator<readonly ChunkSeries[]> {
    const opened = open(request);
    try {
      const merge = mergeSeries(opened.cursors);
      const batch = new ChunkBatch(opened.sources);
      let buffer = new Uint8Array(0);
      while (batch.fill(merge, opened.cursors)) {
        request.signal?.throwIfAborted();
        if (request.skipChunks === true) {
          yield batch.labels.map((labels) => ({ labels, chunks: [] }));
          continue;
        }
        buffer = loadIntoBuffer(batch, opened.sources, buffer) as typeof buffer;
        const series: ChunkSeries[] = [];
        for (const [i, labels] of batch.labels.entries()) {
          const chunks: RawChunk[] = [];
          for (let chunk = batch.starts[i]!; chunk < batch.starts[i + 1]!; chunk++) {
            const raw = rawChunk(batch, chunk, buffer, labels, opened.sources);
            if (raw !== undefined && raw.maxt >= request.mint && raw.mint <= request.maxt) chunks.push(raw);
          }
          if (chunks.length > 0) series.push({ labels, chunks });
        }
        if (series.length > 0) yield series;
      }
    } finally {
      opened.release();
    }
  }

  /** A loaded chunk as it is to be passed on: re-encoded where a part of it is deleted, undefined where all of it is. */
  const rawChunk = (batch: ChunkBatch, chunk: number, buffer: Uint8Array, labels: readonly string[], sources: readonly SeriesSource[]): RawChunk | undefined => {
    const source = batch.source[chunk]!;
    const request = batch.requests[source]!;
    const place = batch.place[chunk]!;
    const at = request.at[place]!;
    const raw: RawChunk = { mint: batch.mint[chunk]!, maxt: batch.maxt[chunk]!, encoding: request.encodings[place]!, data: buffer.subarray(at, at + request.bytes[place]!) };
    const intervals = batch.intervals.get(chunk);
    if (intervals === undefined) return raw;
    if (!isRecodable(raw.encoding)) {
      throw new TsdbError('ERR_CHUNK_ENCODING', `apply tombstones to a chunk of series ${JSON.stringify(labels)} in ${sources[source]!.name}: encoding ${raw.encoding} cannot be written yet`);
    }
    return recodeWithout(raw, intervals, kernels);
  };

  const label = (query: LabelQuery, collect: (source: SeriesSource, found: Set<string>) => void): Promise<LabelAnswer> =>
    new Promise((resolve) => {
      query.signal?.throwIfAborted();
      const { sources, warnings } = view(query.mint, query.maxt);
      const found = new Set<string>();
      for (const source of sources) {
        const release = source.hold();
        try {
          query.signal?.throwIfAborted();
          collect(source, found);
        } finally {
          release();
        }
      }
      const values = [...found].sort(compareUtf8);
      resolve({ values: query.limit > 0 ? values.slice(0, query.limit) : values, warnings });
    });

  const labelNames = (query: LabelQuery): Promise<LabelAnswer> =>
    label(query, (source, found) => {
      if (query.matchers.length === 0) {
        for (const name of source.index.labelNames()) found.add(name);
        return;
      }
      for (const ref of matchPostings(source.index, query.matchers, kernels)) {
        const labels = source.labelsOf(ref);
        for (let i = 0; i < labels.length; i += 2) found.add(labels[i]!);
      }
    });

  const labelValues = (name: string, query: LabelQuery): Promise<LabelAnswer> =>
    label(query, (source, found) => {
      const values = source.index.labelValues(name);
      if (query.matchers.length === 0) {
        for (const value of values) found.add(value);
        return;
      }
      const series = matchPostings(source.index, query.matchers, kernels);
      if (values.length <= VALUES_TESTED_MAX && values.length < series.length) {
        for (const value of values) if (intersectPostings([series, source.index.postings(name, value)], kernels).length > 0) found.add(value);
        return;
      }
      for (const ref of series) {
        const labels = source.labelsOf(ref);
        for (let i = 0; i < labels.length; i += 2) if (labels[i] === name) found.add(labels[i + 1]!);
      }
    });

  return { queryable: { select, labelNames, labelValues }, chunkQueryable: { selectChunks, labelNames, labelValues } };
}

/** Blocks that share time with [mint, maxt], oldest first. */
export function overlappingBlocks(blocks: readonly Block[], mint: number, maxt: number): Block[] {
  return blocks.filter((block) => block.meta.minTime <= maxt && block.meta.maxTime - 1 >= mint).sort((a, b) => a.meta.minTime - b.meta.minTime || a.meta.maxTime - b.meta.maxTime);
}

/** A `Queryable` over open blocks, which stay the caller's to close. */
export function createBlockQueryable(blocks: readonly Block[], kernels: Kernels): Queryable & ChunkQueryable {
  const { queryable, chunkQueryable } = createQueryables((mint, maxt) => ({ sources: overlappingBlocks(blocks, mint, maxt).map((block) => createBlockSource(block, kernels)), warnings: [] }), kernels);
  return { ...queryable, ...chunkQueryable };
}
