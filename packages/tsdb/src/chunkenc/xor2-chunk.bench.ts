/**
 * XOR2 chunks against XOR chunks of the same samples, 120 to a chunk: the decoder here, and for comparison the kernel for XOR and its twin.
 * `node --import tsx packages/tsdb/src/chunkenc/xor2-chunk.bench.ts`
 */
import { crc32c } from '@gauntlet/bytes';
import { CHUNK_SLACK_BYTES, createKernels, type Kernels, xorChunkBytesMax } from '@gauntlet/kernels';
import { compareVariants } from '@gauntlet/kernels/testing';
import { decodeXor2Into } from './xor2-chunk.ts';
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

function xor2Run({ timestampsMs, values, starts }: Prepared, hasStarts: boolean): () => number {
  const total = timestampsMs.length;
  const samples = { timestampsMs, values, startTimestamps: hasStarts ? starts : undefined };
  const encoded = Array.from({ length: chunks }, (_, c) => encodeXor2Chunk(samples, c * SAMPLES, (c + 1) * SAMPLES));
  const target = { timestampsMs: new Float64Array(total), valueWords: new Uint32Array(total * 2), startTimestamps: hasStarts ? new Float64Array(total) : undefined };
  return () => {
    let at = 0;
    for (const data of encoded) at += decodeXor2Into(data, target, at, 'bench');
    return crc32c(new Uint8Array(target.valueWords.buffer, 0, 8192));
  };
}

for (const shape of Object.keys(shapes)) {
  for (const jitterMs of [0, 50]) {
    const prepared = samplesOf(shape, jitterMs);
    const maxMemoryBytes = 1024 * 1024 * 1024;
    const results = compareVariants(
      [
        { name: 'XOR kernel', run: xorRun(createKernels({ backend: 'wasm', maxMemoryBytes }), prepared) },
        { name: 'XOR twin', run: xorRun(createKernels({ backend: 'js', maxMemoryBytes }), prepared) },
        { name: 'XOR2', run: xor2Run(prepared, false) },
        { name: 'XOR2 with starts', run: xor2Run(prepared, true) },
      ],
      chunks * SAMPLES,
      rounds,
    );
    if (new Set(results.map(({ hash }) => hash)).size > 1) throw new Error(`${shape}: the decoders differ`);
    console.log(`${shape.padEnd(8)} jitter ${String(jitterMs).padStart(2)} ms   ${results.map(({ name, nsPerItem }) => `${name} ${nsPerItem.toFixed(2)}`).join('   ')}   ns per sample`);
  }
}
