/**
 * Whether the data of a block is what its index and meta.json say: every chunk is read, its CRC checked, and decoded.
 *
 *   index entry  mint, maxt, ref ──► chunk: length, encoding, bytes, CRC ──► samples: times ascend from mint to maxt
 *   meta.json    numSeries, numChunks, numSamples                             aggregates: each decoded
 *
 * Upstream has no such check; it trusts chunks until a query trips over one.
 */
import { setImmediate as yieldToLoop } from 'node:timers/promises';

import type { Kernels } from '@gauntlet/kernels';
import { formatLabels } from '@gauntlet/model';
import { AGGREGATE_ENCODING, ChunkChecker, chunkRefOffset, chunkRefSegment, chunkSampleCount, createSeriesEntry, isTsdbError } from '@gauntlet/tsdb';
import type { Block } from '@gauntlet/tsdb';

/** Outcome of {@link verifyBlockData}. */
export interface BlockDataReport {
  readonly series: number;
  readonly chunks: number;
  /** Samples of float and histogram chunks. */
  readonly samples: number;
  /** Payload bytes read. */
  readonly bytes: number;
  /** Sentences about what is wrong, the first `findingsMax`. */
  readonly findings: readonly string[];
  /** How many findings there are in all. */
  readonly findingCount: number;
}

/** How to verify. */
export interface VerifyBlockDataOptions {
  /** Findings kept as sentences; default 10. */
  readonly findingsMax?: number;
  readonly signal?: AbortSignal;
}

/** The event loop gets a turn every so many series. */
const SERIES_PER_TURN = 500;

/**
 * Reads all chunks of a block and compares. Memory is that of the index and of one chunk.
 * @param block stays the caller's
 * @param kernels decodes; its memory is given back
 * @throws TsdbError for a damaged index; the signal's reason. What is wrong with chunks is not thrown but reported.
 */
export async function verifyBlockData(block: Pick<Block, 'meta' | 'index' | 'chunks'>, kernels: Kernels, options: VerifyBlockDataOptions = {}): Promise<BlockDataReport> {
  const { index, chunks, meta } = block;
  const { findingsMax = 10, signal } = options;
  const findings: string[] = [];
  let findingCount = 0;
  const report = (what: string): void => {
    findingCount++;
    if (findings.length < findingsMax) findings.push(what);
  };
  const checker = new ChunkChecker(kernels);
  const entry = createSeriesEntry();
  const postings = index.allPostings();
  let chunkCount = 0;
  let samples = 0;
  let bytes = 0;
  let isCountKnown = true;
  try {
    for (let i = 0; i < postings.length; i++) {
      if (i % SERIES_PER_TURN === 0) {
        await yieldToLoop();
        signal?.throwIfAborted();
      }
      index.readSeries(postings[i]!, entry);
      chunkCount += entry.chunkCount;
      for (let j = 0; j < entry.chunkCount; j++) {
        const ref = entry.refs[j]!;
        const at = (): string => `chunk ${j} of series ${formatLabels(index.labelsOf(entry))} (segment ${chunkRefSegment(ref) + 1}, offset ${chunkRefOffset(ref)})`;
        let chunk: { readonly encoding: number; readonly data: Uint8Array };
        try {
          chunk = chunks.readChunk(ref);
        } catch (error) {
          if (!isTsdbError(error)) throw error;
          report(`${at()}: ${error.message}`);
          continue;
        }
        bytes += chunk.data.length;
        if (chunk.encoding === AGGREGATE_ENCODING) isCountKnown = false;
        else samples += chunkSampleCount(chunk.encoding, chunk.data);
        try {
          const problem = checker.check(chunk.encoding, chunk.data, entry.mint[j]!, entry.maxt[j]!);
          if (problem !== '') report(`${at()}: ${problem}`);
        } catch (error) {
          if (!isTsdbError(error, 'ERR_CHUNK_ENCODING')) throw error;
          report(`${at()}: ${error.message}`);
        }
      }
    }
  } finally {
    checker.free();
  }
  const { stats } = meta;
  if (stats.numSeries !== postings.length) report(`meta.json says ${stats.numSeries} series, the index has ${postings.length}`);
  if (stats.numChunks !== chunkCount) report(`meta.json says ${stats.numChunks} chunks, the index has ${chunkCount}`);
  // Chunks that cannot be read have their own finding; the sum without them says nothing.
  if (isCountKnown && findingCount === 0 && stats.numSamples !== samples) report(`meta.json says ${stats.numSamples} samples, the chunks have ${samples}`);
  return { series: postings.length, chunks: chunkCount, samples, bytes, findings, findingCount };
}
