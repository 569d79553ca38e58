/** The scan of write requests against their decoder: the same series in the same order, the same refusals, on either backend of the kernels. */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { BytesError, snappyEncode, utf8Encode } from '@gauntlet/bytes';
import { createKernels, KernelError, WRITE_ROW_BYTES } from '@gauntlet/kernels';
import { ProtoError } from './errors.ts';
import { decodeWriteRequest } from './remote-write-decode.ts';
import { WriteRequestEncoder } from './remote-write-encode.ts';
import { encodeLabelFields } from './series-frame-encode.ts';
import { columnLabels, createTimeSeriesColumns, type TimeSeriesColumns } from './time-series-columns.ts';
import { WireWriter } from './wire-writer.ts';
import { WriteRequestScanner } from './write-request-scan.ts';

const MAX = 1 << 20;
const scanners = (['wasm', 'js'] as const).map((backend) => {
  const kernels = createKernels({ backend });
  return { kernels, scanner: new WriteRequestScanner(kernels) };
});
type Scanner = (typeof scanners)[number];

interface Series {
  readonly labels: readonly string[];
  readonly timesMs: readonly number[];
  readonly values: readonly string[];
  readonly histograms: readonly string[];
  readonly exemplars: readonly string[];
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

function ofColumns(columns: TimeSeriesColumns, s: number): Series {
  const range = (offsets: Int32Array): number[] => Array.from({ length: offsets[s + 1]! - offsets[s]! }, (_none, i) => offsets[s]! + i);
  const message = (ranges: Int32Array) => (i: number) => hex(columns.bytes.subarray(ranges[2 * i], ranges[2 * i]! + ranges[2 * i + 1]!));
  return {
    labels: columnLabels(columns, s),
    timesMs: range(columns.sampleOffsets).map((i) => columns.timestampsMs[i]!),
    values: range(columns.sampleOffsets).map((i) => hex(new Uint8Array(columns.values.buffer, i * 8, 8))),
    histograms: range(columns.histogramOffsets).map(message(columns.histogramRanges)),
    exemplars: range(columns.exemplarOffsets).map(message(columns.exemplarRanges)),
  };
}

/** All series of a scan, in the order of the message. */
function scanned({ kernels: { memory }, scanner }: Scanner, body: Uint8Array, maxBytes = MAX): Series[] {
  scanner.scan(body, maxBytes);
  const all: Series[] = [];
  let other = 0;
  for (let row = 0; row <= scanner.seriesCount; row++) {
    for (; scanner.otherRows[other] === row; other++) all.push(ofColumns(scanner.others, other));
    if (row === scanner.seriesCount) break;
    const from = row === 0 ? 0 : memory.i32(scanner.rowsPtr + (row - 1) * WRITE_ROW_BYTES, 3)[2]!;
    const to = memory.i32(scanner.rowsPtr + row * WRITE_ROW_BYTES, 3)[2]!;
    all.push({
      labels: scanner.labels(row),
      timesMs: Array.from(memory.f64(scanner.timesPtr, scanner.sampleCount).subarray(from, to)),
      values: Array.from({ length: to - from }, (_none, i) => hex(memory.u8(scanner.valuesPtr + (from + i) * 8, 8))),
      histograms: [],
      exemplars: [],
    });
  }
  expect(other).toBe(scanner.others.seriesCount);
  return all;
}

function decoded(message: Uint8Array): { readonly series: Series[]; readonly metadata: number } {
  const columns = createTimeSeriesColumns();
  decodeWriteRequest(message, columns);
  return { series: Array.from({ length: columns.seriesCount }, (_none, s) => ofColumns(columns, s)), metadata: columns.metadata.length };
}

/** Code and text of the error, or the result. */
function outcome<T>(work: () => T): T | string {
  try {
    return work();
  } catch (error) {
    if (error instanceof ProtoError || error instanceof BytesError) return `${error.code} ${error.message}`;
    throw error;
  }
}

const label = fc.tuple(fc.stringMatching(/^[a-zé]{1,4}$/), fc.oneof(fc.stringMatching(/^[a-z😀]{1,6}$/u), fc.constant('v'.repeat(200))));
const labels = fc.array(label, { minLength: 1, maxLength: 4 }).map((pairs) => pairs.flat());
const sample = fc.record({ timeMs: fc.oneof(fc.constant(0), fc.integer({ min: -1e15, max: 1e15 })), value: fc.double() });

interface AnySeries {
  readonly labels: readonly string[];
  readonly samples: readonly { readonly timeMs: number; readonly value: number }[];
  /** Fields behind the samples: exemplars, histograms, unknown ones. */
  readonly beside: readonly (readonly [tag: number, timeField: number])[];
}

const series: fc.Arbitrary<AnySeries> = fc.record({
  labels: fc.oneof({ weight: 9, arbitrary: labels }, { weight: 1, arbitrary: fc.constant([]) }),
  samples: fc.array(sample, { maxLength: 3 }),
  beside: fc.oneof({ weight: 3, arbitrary: fc.constant([]) }, { weight: 1, arbitrary: fc.array(fc.constantFrom([0x1a, 3] as const, [0x22, 15] as const, [0x2a, 1] as const), { maxLength: 2 }) }),
});
const part = fc.oneof({ weight: 6, arbitrary: series }, { weight: 1, arbitrary: fc.constant('metadata' as const) }, { weight: 1, arbitrary: fc.constant('unknown' as const) });

function write(parts: readonly (AnySeries | 'metadata' | 'unknown')[]): Uint8Array {
  const w = new WireWriter(1024);
  for (const one of parts) {
    if (one === 'unknown') {
      w.byte(0x38);
      w.byte(5);
      continue;
    }
    w.byte(one === 'metadata' ? 0x1a : 0x0a);
    const mark = w.open();
    if (one === 'metadata') w.raw(Uint8Array.of(0x08, 1, 0x12, 1, 97));
    else {
      w.raw(encodeLabelFields([...one.labels]));
      for (const { timeMs, value } of one.samples) {
        const encoder = new WriteRequestEncoder();
        encoder.beginSeries(new Uint8Array(0));
        encoder.addSamples(Float64Array.of(timeMs), Float64Array.of(value), 0, 1);
        encoder.endSeries();
        w.raw(encoder.take().subarray(2));
      }
      for (const [tag, timeField] of one.beside) {
        w.byte(tag);
        w.byte(2);
        w.byte(timeField << 3);
        w.byte(7);
      }
    }
    w.close(mark);
  }
  return w.take().slice();
}

describe('scan of write requests', () => {
  test('gives what the decoder gives', () => {
    fc.assert(
      fc.property(fc.array(part, { maxLength: 12 }), (parts) => {
        const message = write(parts);
        const expected = decoded(message);
        for (const one of scanners) {
          expect(scanned(one, snappyEncode(message))).toEqual(expected.series);
          expect(one.scanner.others.metadata.length).toBe(expected.metadata);
        }
      }),
      { numRuns: 300 },
    );
  });

  test('a damaged message: what the decoder gives, or its error', () => {
    fc.assert(
      fc.property(fc.array(part, { minLength: 1, maxLength: 6 }), fc.nat(), fc.integer({ min: 1, max: 255 }), fc.nat(), (parts, where, flip, cut) => {
        const message = write(parts);
        const changed = message.slice();
        changed[where % message.length]! ^= flip;
        for (const bytes of [changed, message.slice(0, cut % message.length)]) {
          const expected = outcome(() => decoded(bytes).series);
          // Labels that are no longer UTF-8 are refused when they are read; the decoder replaces what is wrong.
          if (JSON.stringify(expected).includes('\ufffd')) continue;
          for (const one of scanners) expect(outcome(() => scanned(one, snappyEncode(bytes)))).toEqual(expected);
        }
      }),
      { numRuns: 500 },
    );
  });

  test('more series and samples than columns begin with', () => {
    const parts = Array.from({ length: 3000 }, (_none, i): AnySeries => ({ labels: ['a', String(i)], samples: [{ timeMs: i, value: i }], beside: i % 500 === 7 ? [[0x1a, 3]] : [] }));
    const long: AnySeries = { labels: ['a', 'long'], samples: Array.from({ length: 5000 }, (_none, i) => ({ timeMs: i, value: i })), beside: [] };
    const message = write([...parts, long, ...parts]);
    const expected = decoded(message).series;
    for (const one of scanners) {
      expect(scanned(one, snappyEncode(message))).toEqual(expected);
      const used = one.kernels.memory.usedBytes;
      expect(scanned(one, snappyEncode(message))).toEqual(expected);
      expect(one.kernels.memory.usedBytes).toBe(used);
      one.scanner.close();
      expect(one.kernels.memory.usedBytes).toBe(0);
      expect(scanned(one, snappyEncode(write([long])))).toEqual([expected[3000]]);
    }
  });

  test.each([
    ['a byte that begins nothing', Uint8Array.of(0x80)],
    ['a sequence cut short', Uint8Array.of(97, 0xe2, 0x82)],
    ['a surrogate', Uint8Array.of(0xed, 0xa0, 0x80)],
    ['the long form of a letter', Uint8Array.of(0xc1, 0xa1)],
  ])('labels are refused when they hold %s', (_name, text) => {
    const value = Uint8Array.of(0x0a, text.length + 5, 0x0a, 1, 97, 0x12, text.length, ...text);
    const encoder = new WriteRequestEncoder();
    encoder.beginSeries(value);
    encoder.endSeries();
    const body = snappyEncode(encoder.take());
    for (const one of scanners) expect(outcome(() => scanned(one, body))).toContain('ERR_PROTO_VALUE decode write request: labels of series 0 are not UTF-8');
  });

  test('a replacement character that was sent is data', () => {
    const message = write([{ labels: ['a', '\ufffd'], samples: [], beside: [] }]);
    for (const one of scanners) expect(scanned(one, snappyEncode(message))[0]!.labels).toEqual(['a', '\ufffd']);
  });

  test('bodies that are no block, or too large a one, are refused as by the decoder of bytes, and the next one is taken', () => {
    const good = write([{ labels: ['a', 'b'], samples: [{ timeMs: 1, value: 2 }], beside: [] }]);
    for (const one of scanners) {
      expect(outcome(() => scanned(one, Uint8Array.of(3, 8, 97)))).toContain('ERR_BYTES_SNAPPY decompress snappy block at offset 1: literal of 3 bytes, 1 left');
      expect(outcome(() => scanned(one, utf8Encode('{"plain":"json"}')))).toMatch(/^ERR_BYTES_/);
      expect(outcome(() => scanned(one, new Uint8Array(0)))).toMatch(/^ERR_BYTES_/);
      expect(outcome(() => scanned(one, snappyEncode(good), good.length - 1))).toContain('ERR_BYTES_TOO_LARGE');
      expect(one.scanner.seriesCount).toBe(0);
      expect(scanned(one, snappyEncode(good), good.length)).toHaveLength(1);
    }
  });

  test('a request beyond the memory is an error of this request', () => {
    for (const backend of ['wasm', 'js'] as const) {
      const kernels = createKernels({ backend, maxMemoryBytes: 256 << 10 });
      const one = { kernels, scanner: new WriteRequestScanner(kernels) };
      const parts = Array.from({ length: 20_000 }, (_none, i): AnySeries => ({ labels: ['a', String(i)], samples: [{ timeMs: i, value: i }], beside: [] }));
      expect(() => scanned(one, snappyEncode(write(parts)))).toThrow(KernelError);
      expect(scanned(one, snappyEncode(write(parts.slice(0, 3))))).toHaveLength(3);
    }
  });
});
