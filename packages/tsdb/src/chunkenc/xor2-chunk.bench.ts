/**
 * XOR2 chunks against XOR chunks of the same samples, 120 to a chunk: kernels and twins, without and with start timestamps.
 * `node --import tsx packages/tsdb/src/chunkenc/xor2-chunk.bench.ts`
 */
import { crc32c } from '@gauntlet/bytes';
import { CHUNK_SLACK_BYTES, createKernels, type Kernels, xorChunkBytesMax } from '@gauntlet/kernels';
import { compareVariants } from '@gauntlet/kernels/testing';
import { encodeXor2Chunk } from './xor2-encoder.ts';

const SAMPLES = 120;
const chunks = Number(process.env['GAUNTLET_BENCH_CHUNKS'] ?? 2000);
const rounds = Number(process.env['GAUNTLET_BENCH_ROUNDS'] ?? 15);

/** A fixed sequence of numbers in [0, 1). */
function randomNumbers(): () => number {
  let state = 12345;
  return () => {
    state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff;
    return state / 0x80000000;
  };
}

const shapes: Readonly<Record<string, (random: () => number) => (i: number) => number>> = {
  constant: () => () => 42,
  counter: (random) => {
    let value = 0;
    return () => (value += Math.floor(random() * 100));
  },
  gauge: (random) => {
    let value = 100;
    return () => (value += random() - 0.5);
  },
};

interface Prepared {
  readonly timestampsMs: Float64Array;
  readonly values: Float64Array;
  readonly starts: Float64Array;
}

function samplesOf(shape: string, jitterMs: number): Prepared {
  const random = randomNumbers();
  const next = shapes[shape]!(random);
  const total = chunks * SAMPLES;
  const timestampsMs = new Float64Array(total);
  const values = new Float64Array(total);
  const starts = new Float64Array(total);
  for (let i = 0; i < total; i++) {
    timestampsMs[i] = 1772409600000 + i * 15000 + Math.floor(random() * (jitterMs + 1));
    values[i] = next(i);
    starts[i] = i === 0 ? timestampsMs[0]! - 15000 : timestampsMs[i - 1]!;
  }
  return { timestampsMs, values, starts };
}

/** Puts XOR chunks into the memory of kernels. @returns the run */
function xorRun(kernels: Kernels, { timestampsMs, values }: Prepared): () => number {
  const { memory } = kernels;
  const total = timestampsMs.length;
  const [timesPtr, valuesPtr] = [memory.alloc(total * 8), memory.alloc(total * 8)];
  memory.f64(timesPtr, total).set(timestampsMs);
  memory.f64(valuesPtr, total).set(values);
  const descriptorPtr = memory.alloc(chunks * 8);
  for (let c = 0; c < chunks; c++) {
    const ptr = memory.alloc(xorChunkBytesMax(SAMPLES) + CHUNK_SLACK_BYTES);
    const bytes = kernels.encodeXor(timesPtr + c * SAMPLES * 8, valuesPtr + c * SAMPLES * 8, SAMPLES, ptr, xorChunkBytesMax(SAMPLES));
    memory.i32(descriptorPtr + c * 8, 2).set([ptr, bytes]);
  }
  return () => {
    if (kernels.decodeXorChunks(descriptorPtr, chunks, timesPtr, valuesPtr, total) !== total) throw new Error('decode XOR chunks: not all samples');
    return crc32c(memory.u8(valuesPtr, 8192));
  };
}

/** Puts XOR2 chunks into the memory of kernels. @returns the run */
function xor2Run(kernels: Kernels, { timestampsMs, values, starts }: Prepared, hasStarts: boolean): () => number {
  const { memory } = kernels;
  const total = timestampsMs.length;
  const samples = { timestampsMs, values, startTimestamps: hasStarts ? starts : undefined };
  const [timesPtr, valuesPtr, startsPtr] = [memory.alloc(total * 8), memory.alloc(total * 8), memory.alloc(total * 8)];
  const placed = new Int32Array(chunks * 2);
  for (let c = 0; c < chunks; c++) {
    const data = encodeXor2Chunk(samples, c * SAMPLES, (c + 1) * SAMPLES);
    placed[c * 2] = memory.alloc(data.length + CHUNK_SLACK_BYTES);
    placed[c * 2 + 1] = data.length;
    memory.u8(placed[c * 2]!, data.length).set(data);
  }
  return () => {
    let at = 0;
    for (let c = 0; c < chunks; c++) at += kernels.decodeXor2(placed[c * 2]!, placed[c * 2 + 1]!, timesPtr + at * 8, valuesPtr + at * 8, hasStarts ? startsPtr + at * 8 : 0, SAMPLES);
    if (at !== total) throw new Error('decode XOR2 chunks: not all samples');
    return crc32c(memory.u8(valuesPtr, 8192));
  };
}

for (const shape of Object.keys(shapes)) {
  for (const jitterMs of [0, 50]) {
    const prepared = samplesOf(shape, jitterMs);
    const maxMemoryBytes = 1024 * 1024 * 1024;
    const variants = (['wasm', 'js'] as const).flatMap((backend) => {
      const name = backend === 'wasm' ? 'kernel' : 'twin';
      const kernels = createKernels({ backend, maxMemoryBytes });
      return [
        { name: `${name}: XOR`, run: xorRun(kernels, prepared) },
        { name: 'XOR2', run: xor2Run(kernels, prepared, false) },
        { name: 'with starts', run: xor2Run(kernels, prepared, true) },
      ];
    });
    const results = compareVariants(variants, chunks * SAMPLES, rounds);
    if (new Set(results.map(({ hash }) => hash)).size > 1) throw new Error(`${shape}: the decoders differ`);
    console.log(`${shape.padEnd(8)} jitter ${String(jitterMs).padStart(2)} ms   ${results.map(({ name, nsPerItem }) => `${name} ${nsPerItem.toFixed(2)}`).join('   ')}   ns per sample`);
  }
}
