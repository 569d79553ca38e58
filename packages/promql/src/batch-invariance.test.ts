/**
 * Batch invariance: storage may hand out series in batches of any size, with their columns in kernel memory or elsewhere and with more samples
 * around them than the offsets cover, native histograms as runs or as objects only; answers are equal to the bit, native histograms, order and remarks included.
 *
 * Batches of one select are always in label order: that much the contract of `Queryable` promises. What may come in any order is the answer to
 * several selects of one query; a storage that answers late, each select at its own time, shows that.
 */
import { expect, test } from '@jest/globals';
import { createKernels, type Kernels } from '@gauntlet/kernels';
import { formatHistogram, formatLabels, type Queryable, type SelectRequest, type SeriesBatch } from '@gauntlet/model';
import { PromqlError } from './errors.ts';
import { createMemoryQueryable } from './promqltest/memory-queryable.ts';
import { type RandomCase, runEngine } from './testing/compare-naive.ts';
import { randomFrom, randomSeries } from './testing/random-data.ts';
import { randomQuery } from './testing/random-query.ts';

const COUNT = Number(process.env['GAUNTLET_RANDOM_QUERIES'] ?? 60);
const FIRST_SEED = Number(process.env['GAUNTLET_SEED'] ?? 1);

/** How storage hands out what it has. */
interface Delivery {
  readonly name: string;
  readonly batchSeries: number;
  /** Columns lie in kernel memory, as those of real storage do. */
  readonly inKernelMemory?: boolean;
  /** Columns are parts of larger buffers. */
  readonly padded?: boolean;
  /** Batches come after others have had their turn. */
  readonly late?: boolean;
  /** Histograms come as objects only. */
  readonly asObjects?: boolean;
}

const DELIVERIES: readonly Delivery[] = [
  { name: 'batches of 1, histograms as objects', batchSeries: 1, asObjects: true },
  ...[1, 2, 7, 64, 256].map((batchSeries) => ({ name: `batches of ${batchSeries}`, batchSeries })),
  { name: 'padded batches of 3', batchSeries: 3, padded: true },
  { name: 'late batches of 2', batchSeries: 2, late: true },
  { name: 'batches of 1 in kernel memory', batchSeries: 1, inKernelMemory: true },
  { name: 'late batches of 7 in kernel memory', batchSeries: 7, inKernelMemory: true, late: true },
  { name: 'batches of 256 in kernel memory', batchSeries: 256, inKernelMemory: true },
];

/** The same samples with others around them, which do not belong to the batch. */
function padded(batch: SeriesBatch): SeriesBatch {
  const around = (column: Float64Array): Float64Array => {
    const larger = new Float64Array(column.length + 8).fill(NaN);
    larger.set(column, 3);
    return larger.subarray(3);
  };
  return { ...batch, timestampsMs: around(batch.timestampsMs), values: around(batch.values) };
}

function deliver(series: RandomCase['series'], { batchSeries, inKernelMemory, padded: isPadded, late, asObjects }: Delivery, kernels: Kernels): Queryable {
  const storage = createMemoryQueryable(series, { batchSeries, hasRuns: asObjects !== true });
  const { memory } = kernels;
  async function* select(request: SelectRequest): AsyncGenerator<SeriesBatch> {
    let turns = request.matchers.reduce((sum, { value }) => sum + value.length, 0) % 5;
    for await (const batch of storage.select(request)) {
      while (late === true && turns-- > 0) await Promise.resolve();
      turns = batch.labels.length % 4;
      if (inKernelMemory !== true) {
        yield isPadded === true ? padded(batch) : batch;
        continue;
      }
      const count = batch.timestampsMs.length;
      const timestampsPtr = memory.alloc(count * 16);
      const valuesPtr = timestampsPtr + count * 8;
      try {
        memory.f64(timestampsPtr, count).set(batch.timestampsMs);
        memory.f64(valuesPtr, count).set(batch.values);
        yield { ...batch, timestampsMs: memory.f64(timestampsPtr, count), values: memory.f64(valuesPtr, count), kernelColumns: { timestampsPtr, valuesPtr } };
      } finally {
        memory.free(timestampsPtr);
      }
    }
  }
  return { ...storage, select: (request) => ({ [Symbol.asyncIterator]: () => select(request), warnings: () => [] }) };
}

const bits = new BigUint64Array(1);
const float = new Float64Array(bits.buffer);

function bitsOf(value: number): string {
  float[0] = value;
  return bits[0]!.toString(16);
}

/** An answer as text, to the bit. */
async function answerText(one: RandomCase, delivery: Delivery, kernels: Kernels): Promise<string> {
  try {
    const result = await runEngine(one, kernels, deliver(one.series, delivery, kernels));
    const lines = result.labels.map((labels, i) => {
      const points: string[] = [];
      for (let j = result.offsets[i]!; j < result.offsets[i + 1]!; j++) {
        const histogram = result.histograms?.[j];
        const counts = histogram === undefined ? [] : [...histogram.positiveBuckets, ...histogram.negativeBuckets, histogram.count, histogram.sum, histogram.zeroCount];
        const text = histogram === undefined ? bitsOf(result.values[j]!) : `${formatHistogram(histogram)}/${histogram.schema}/${histogram.resetHint}/${counts.map(bitsOf).join()}`;
        points.push(`${result.timestampsMs[j]}=${text}`);
      }
      return `${formatLabels(labels)} ${points.join(' ')}`;
    });
    result.dispose();
    return [...lines, ...result.warnings, ...result.infos].join('\n');
  } catch (error) {
    // What several operands would fail with depends on which fails first.
    if (error instanceof PromqlError) return `error ${error.code}`;
    throw error;
  }
}

test.each(['wasm', 'js'] as const)(`${COUNT} random queries from seed ${FIRST_SEED} give the same bits however storage hands out its series, %s`, async (backend) => {
  const kernels = createKernels({ backend });
  const wrong: string[] = [];
  let answers = 0;
  let histograms = 0;
  for (let seed = FIRST_SEED; seed < FIRST_SEED + COUNT; seed++) {
    const random = randomFrom(seed);
    const series = randomSeries(random, 1_500_000);
    const isInstant = random() < 0.2;
    const startMs = 900_000 + Math.floor(random() * 60_000);
    const one: RandomCase = {
      expr: randomQuery(random, { everything: true }),
      series,
      startMs,
      endMs: isInstant ? startMs : startMs + Math.floor(random() * 500_000),
      stepMs: isInstant ? 0 : [7000, 31_000, 60_000][Math.floor(random() * 3)]!,
      lookbackMs: random() < 0.7 ? 300_000 : 20_000,
      delayedNameRemoval: random() < 0.5,
      batchSeries: 1,
    };
    const want = await answerText(one, DELIVERIES[0]!, kernels);
    if (want !== '' && !want.startsWith('error')) answers++;
    if (want.includes('={')) histograms++;
    for (const delivery of DELIVERIES.slice(1)) {
      const got = await answerText(one, delivery, kernels);
      if (got !== want) wrong.push(`seed ${seed}, ${delivery.name}: ${one.expr}\n  got  ${got.slice(0, 400)}\n  want ${want.slice(0, 400)}`);
    }
  }
  expect(wrong.slice(0, 5).join('\n')).toBe('');
  expect(answers).toBeGreaterThan(COUNT * 0.4);
  expect(histograms).toBeGreaterThan(COUNT * 0.04);
});
