/**
 * XOR decode and encode, JSON points and CRC-32C: the module against its twins, per sample (CRC per KiB).
 * Run: node --import tsx packages/kernels/src/xor.bench.ts; GAUNTLET_BENCH_SMALL=1 for a short run.
 */
import { createKernels } from './create-kernels.ts';
import { POINT_JSON_BYTES_MAX, type Kernels, xorChunkBytesMax } from './kernels.ts';
import { compareVariants } from './testing/bench.ts';

const isSmall = process.env['GAUNTLET_BENCH_SMALL'] === '1';
const chunkCount = isSmall ? 50 : 2000;
const rounds = isSmall ? 3 : 21;
const SAMPLES = 120;

/** Shapes of series; the same seed each time. */
const shapes: Readonly<Record<string, (i: number, random: () => number, previous: number) => number>> = {
  constant: () => 42,
  'int counter': (_i, random, previous) => previous + Math.floor(random() * 100),
  'float counter': (_i, random, previous) => previous + random() * 100,
  'float gauge': (_i, random, previous) => previous + random() - 0.5,
};

interface Prepared {
  readonly kernels: Kernels;
  readonly descriptorPtr: number;
  readonly timestampsPtr: number;
  readonly valuesPtr: number;
  readonly outPtr: number;
  readonly outMax: number;
}

function prepare(backend: 'wasm' | 'js', shape: string): Prepared {
  const kernels = createKernels({ backend });
  const { memory } = kernels;
  const total = chunkCount * SAMPLES;
  const timestampsPtr = memory.alloc(8 * total);
  const valuesPtr = memory.alloc(8 * total);
  const descriptorPtr = memory.alloc(8 * chunkCount);
  const outMax = total * POINT_JSON_BYTES_MAX;
  const outPtr = memory.alloc(outMax);
  let state = 1;
  const random = (): number => {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    return state / 4294967296;
  };
  for (let c = 0; c < chunkCount; c++) {
    const timestamps = memory.f64(timestampsPtr + 8 * c * SAMPLES, SAMPLES);
    const values = memory.f64(valuesPtr + 8 * c * SAMPLES, SAMPLES);
    let value = 1000 * random();
    if (shape === 'int counter') value = Math.floor(value);
    for (let i = 0; i < SAMPLES; i++) {
      value = shapes[shape]!(i, random, value);
      timestamps[i] = 1772409600000 + i * 15000 + (i % 7 === 0 ? Math.floor(random() * 10) : 0);
      values[i] = value;
    }
  }
  for (let c = 0; c < chunkCount; c++) {
    const bytes = xorChunkBytesMax(SAMPLES);
    const ptr = memory.alloc(bytes);
    const used = kernels.encodeXor(timestampsPtr + 8 * c * SAMPLES, valuesPtr + 8 * c * SAMPLES, SAMPLES, ptr, bytes);
    memory.i32(descriptorPtr + 8 * c, 2).set([ptr, used]);
  }
  return { kernels, descriptorPtr, timestampsPtr, valuesPtr, outPtr, outMax };
}

function hashOf({ kernels, timestampsPtr, valuesPtr }: Prepared): number {
  const bytes = 8 * chunkCount * SAMPLES;
  return kernels.crc32c(valuesPtr, bytes, kernels.crc32c(timestampsPtr, bytes, 0));
}

function encodeAll({ kernels, timestampsPtr, valuesPtr, outPtr }: Prepared): number {
  let at = outPtr;
  for (let c = 0; c < chunkCount; c++) {
    at += kernels.encodeXor(timestampsPtr + 8 * c * SAMPLES, valuesPtr + 8 * c * SAMPLES, SAMPLES, at, xorChunkBytesMax(SAMPLES));
  }
  return at - outPtr;
}

const total = chunkCount * SAMPLES;
for (const shape of Object.keys(shapes)) {
  const prepared = (['wasm', 'js'] as const).map((backend) => prepare(backend, shape));
  const measure = (what: string, items: number, run: (on: Prepared) => number, check: (on: Prepared) => number): void => {
    const results = compareVariants(prepared.map((on) => ({ name: on.kernels.backend, run: () => run(on) })), items, rounds);
    const [a, b] = prepared.map(check);
    if (a !== b || results[0]!.hash !== results[1]!.hash) throw new Error(`${what}, ${shape}: results differ: ${a} and ${b}`);
    const [wasm, js] = results.map((result) => result.nsPerItem);
    console.log(`${what.padEnd(8)} ${shape.padEnd(14)} wasm ${wasm!.toFixed(2).padStart(7)} ns   js ${js!.toFixed(2).padStart(7)} ns   ratio ${(js! / wasm!).toFixed(1)}`);
  };
  measure('decode', total, ({ kernels, descriptorPtr, timestampsPtr, valuesPtr }) => kernels.decodeXorChunks(descriptorPtr, chunkCount, timestampsPtr, valuesPtr, total), hashOf);
  // Per sample passed over; the last one of each chunk is kept.
  measure('newest', total, ({ kernels, descriptorPtr, outPtr }) => kernels.decodeXorChunksNewest(descriptorPtr, chunkCount, 0, 2e12, outPtr, outPtr + 8 * chunkCount, outPtr + 16 * chunkCount), (on) => on.kernels.crc32c(on.outPtr, 20 * chunkCount, 0));
  measure('encode', total, encodeAll, (on) => on.kernels.crc32c(on.outPtr, encodeAll(on), 0));
  measure(
    'json',
    total,
    ({ kernels, timestampsPtr, valuesPtr, outPtr, outMax }) => kernels.writePointsJson(timestampsPtr, valuesPtr, total, outPtr, outMax),
    (on) => on.kernels.crc32c(on.outPtr, 1000, 0),
  );
  measure('crc/KiB', (8 * total) / 1024, ({ kernels, valuesPtr }) => kernels.crc32c(valuesPtr, 8 * total, 0), hashOf);
}
