/**
 * The extended part of `tools tsdb analyze`: how full the chunks of a block are, as histograms of text.
 *
 *   samples per float chunk (min/avg/max): 10/118/120
 *   [ 1, 10]:   2
 *   [11, 20]:  41 ####
 *
 * Source: Prometheus cmd/promtool/tsdb.go (whole numbers throughout, and a bar of one # per whole per cent of all chunks).
 */
import { CHUNK_ENCODING } from '@gauntlet/model';
import { type Block, chunkSampleCount, createSeriesEntry, decodeHistogramChunk, isHistogramEncoding, type Postings } from '@gauntlet/tsdb';
import type { TsdbJobDeps } from './tsdb-job.ts';

/** Between two looks at whether the user wants it to end. */
const SERIES_PER_POLL = 100;

/** Reads every chunk of the series and prints the histograms. @throws TsdbError for damaged chunks */
export function printChunkSizes({ index, chunks }: Block, refs: Postings, { print, poll, progress }: TsdbJobDeps): void {
  const floatSamples = new CountedValues();
  const floatBytes = new CountedValues();
  const histogramSamples = new CountedValues();
  const histogramBytes = new CountedValues();
  const histogramBuckets = new CountedValues();
  const entry = createSeriesEntry();
  let total = 0;
  for (let i = 0; i < refs.length; i++) {
    if (i % SERIES_PER_POLL === 0) {
      poll();
      progress('read chunks', i, refs.length, 'series');
    }
    index.readSeries(refs[i]!, entry);
    for (let j = 0; j < entry.chunkCount; j++) {
      const { encoding, data } = chunks.readChunk(entry.refs[j]!);
      total++;
      if (encoding === CHUNK_ENCODING.xor || encoding === CHUNK_ENCODING.xor2) {
        floatSamples.add(chunkSampleCount(encoding, data));
        floatBytes.add(data.length);
      } else if (isHistogramEncoding(encoding)) {
        histogramSamples.add(chunkSampleCount(encoding, data));
        histogramBytes.add(data.length);
        const columns = decodeHistogramChunk(encoding, data, `block ${index.name}`);
        let withBuckets = 0;
        for (const at of columns.bucketAt) if (at >= 0) withBuckets++;
        histogramBuckets.add(withBuckets * (columns.positiveBuckets + columns.negativeBuckets));
      }
    }
  }
  print('\nCompaction analysis:\n\n');
  print(floatSamples.text('samples per float chunk', total));
  print(floatBytes.text('bytes per float chunk', total));
  print(histogramSamples.text('samples per histogram chunk', total));
  print(histogramBytes.text('bytes per histogram chunk', total));
  print(histogramBuckets.text('buckets per histogram chunk', total));
}

/** How often each value was there. Sizes of chunks repeat, so there are few values. */
export class CountedValues {
  readonly #counts: Map<number, number> = new Map();
  #min = Number.POSITIVE_INFINITY;
  #max = 0;
  #sum = 0;
  #count = 0;

  add(value: number): void {
    this.#counts.set(value, (this.#counts.get(value) ?? 0) + 1);
    this.#min = Math.min(this.#min, value);
    this.#max = Math.max(this.#max, value);
    this.#sum += value;
    this.#count++;
  }

  /** The histogram with its title. @param total chunks of all kinds: the bars are shares of it */
  text(title: string, total: number): string {
    if (this.#count === 0) return `${title}: N/A\n\n`;
    const wantedStep = Math.trunc((this.#max - this.#min) / 10);
    let step = 10;
    while (step < wantedStep && step <= 10_000) step *= 10;
    const start = this.#min - (this.#min % step);
    const end = this.#max - (this.#max % step) + step;
    const buckets = new Float64Array(Math.trunc((end - start) / step) + 1);
    for (const [value, count] of this.#counts) buckets[Math.trunc((value - start) / step)]! += count;
    const leftCharacters = String(end).length;
    const rightCharacters = String(end + step).length;
    const countCharacters = String(Math.max(...buckets)).length;
    let text = `${title} (min/avg/max): ${this.#min}/${Math.trunc(this.#sum / this.#count)}/${this.#max}\n`;
    for (const [i, count] of buckets.entries()) {
      const [low, high] = [String(start + i * step + 1).padStart(leftCharacters), String(start + (i + 1) * step).padStart(rightCharacters)];
      text += `[${low}, ${high}]: ${String(count).padStart(countCharacters)} ${'#'.repeat(Math.trunc((100 * count) / total))}\n`;
    }
    return `${text}\n`;
  }
}
