/** Random sample columns of the kinds that trouble chunk codecs: every timestamp code and its borders, odd bit patterns. */
import fc from 'fast-check';

/** One series' samples, as the kernels take them. */
export interface SampleColumns {
  readonly timestampsMs: Float64Array;
  readonly values: Float64Array;
}

/** Words high, low: stale marker, other NaNs, zeros, infinities, subnormals, extremes. */
const SPECIAL_BITS: ReadonlyArray<readonly [number, number]> = [
  [0x7ff00000, 2],
  [0x7ff80000, 1],
  [0xfff80000, 0],
  [0x7ff00000, 1],
  [0xffffffff, 0xffffffff],
  [0, 0],
  [0x80000000, 0],
  [0x7ff00000, 0],
  [0xfff00000, 0],
  [0, 1],
  [0x000fffff, 0xffffffff],
  [0x7fefffff, 0xffffffff],
  [0x3ff00000, 0],
];

const DELTA_CHANGES = [0, 1, -1, 8191, 8192, 8193, -8191, -8192, 65535, 65536, 65537, -65535, -65536, 524287, 524288, 524289, -524287, -524288, 1e12, -1e12];

const valueBits: fc.Arbitrary<readonly [number, number]> = fc.oneof(
  fc.constantFrom(...SPECIAL_BITS),
  fc.tuple(fc.integer({ min: 0, max: 0xffffffff }), fc.integer({ min: 0, max: 0xffffffff })),
  fc.integer({ min: -1000, max: 1000 }).map(wordsOf),
  fc.double().map(wordsOf),
);

/** Up to `countMax` samples; timestamps within ±2^50 so that no difference leaves the safe integers. */
export function awkwardSamples(countMax: number = 150): fc.Arbitrary<SampleColumns> {
  const step = fc.tuple(
    fc.oneof({ weight: 4, arbitrary: fc.constant(0) }, { weight: 3, arbitrary: fc.constantFrom(...DELTA_CHANGES) }, fc.integer({ min: -50, max: 50 })),
    fc.oneof({ weight: 1, arbitrary: fc.constant(null) }, { weight: 3, arbitrary: valueBits }),
  );
  const start = fc.oneof(fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }), fc.constantFrom(0, -1, 1772409600000, -(2 ** 50), 2 ** 50));
  return fc.tuple(start, fc.constantFrom(0, 1, 15000, 30000, -5), fc.array(step, { maxLength: countMax })).map(([first, firstDelta, steps]) => {
    const timestampsMs = new Float64Array(steps.length);
    const values = new Float64Array(steps.length);
    const words = new Uint32Array(values.buffer);
    let delta = firstDelta;
    let timestamp = first;
    let bits: readonly [number, number] = [0x3ff00000, 0];
    steps.forEach(([change, next], i) => {
      bits = next ?? bits;
      if (i > 0) {
        delta += i > 1 ? change : 0;
        timestamp += delta;
      }
      timestampsMs[i] = timestamp;
      words[2 * i] = bits[1];
      words[2 * i + 1] = bits[0];
    });
    return { timestampsMs, values };
  });
}

/** Sixteen hex digits per value, from a column or its bytes: the only comparison that tells NaNs apart. */
export function bitsOf(column: Float64Array | Uint8Array): string[] {
  const bytes = new DataView(column.buffer, column.byteOffset, column.byteLength);
  return Array.from({ length: column.byteLength / 8 }, (_, i) => bytes.getBigUint64(8 * i, true).toString(16).padStart(16, '0'));
}

function wordsOf(value: number): readonly [number, number] {
  const view = new DataView(new ArrayBuffer(8));
  view.setFloat64(0, value);
  return [view.getUint32(0), view.getUint32(4)];
}
