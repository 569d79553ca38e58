/**
 * Takes replica labels off the series of a store that cannot do it itself, and sorts them again. Everything of one metric is
 * held until it is complete (series-rewriter.ts).
 */
import { EMPTY_LABELS } from '@gauntlet/model';
import { createSeriesFrame, decodeSeriesFrame, frameLabels } from '@gauntlet/proto';
import { SeriesRewriter } from './series-rewriter.ts';

const BATCH_SERIES = 64;

/** Frames of `frames` without the labels in `names`, sorted. Warnings and hints pass through at once. */
export async function* resortFrames(frames: AsyncIterable<Uint8Array>, names: readonly string[]): AsyncGenerator<Uint8Array> {
  const rewriter = new SeriesRewriter({ externalLabels: EMPTY_LABELS, withoutLabels: names, shard: undefined, batchSize: BATCH_SERIES, limit: 0 });
  const frame = createSeriesFrame();
  for await (const bytes of frames) {
    decodeSeriesFrame(bytes, frame);
    if (frame.seriesCount === 0) {
      yield bytes;
      continue;
    }
    for (let series = 0; series < frame.seriesCount; series++) {
      const firstChunk = frame.chunkOffsets[series]!;
      const endChunk = frame.chunkOffsets[series + 1]!;
      // Chunks of one series lie next to each other unless unknown fields stand between them.
      const chunkFields =
        firstChunk === endChunk ? bytes.subarray(0, 0) : bytes.subarray(frame.chunkStart[firstChunk]!, frame.chunkEnd[endChunk - 1]!);
      rewriter.add(frameLabels(frame, series), chunkFields);
    }
    yield* rewriter.takeFrames();
  }
  yield* rewriter.finish();
}
