/** Twin of as/write-request.ts, where the layout is described. */
import { WRITE_SCAN, type WriteRequestKernels } from '../ingest-kernels.ts';
import type { LinearMemory } from '../kernel-memory.ts';

/** What `prefix` gives for a length that is cut, goes beyond its message, or takes more than four bytes. */
const NONE = -1;

/** Write request kernels in TypeScript. */
export function createWriteRequestTwin(memory: LinearMemory): WriteRequestKernels {
  /** Where the next field begins. */
  let at = 0;

  const prefix = (bytes: Uint8Array, limit: number): number => {
    let length = 0;
    for (let shift = 0; shift < 28; shift += 7) {
      if (at >= limit) return NONE;
      const byte = bytes[at++]!;
      length |= (byte & 0x7f) << shift;
      if (byte < 0x80) return length <= limit - at ? length : NONE;
    }
    return NONE;
  };
  /** A varint of at most eight bytes and 2^53 − 1; NONE for any other. */
  const time = (bytes: Uint8Array): number => {
    let value = 0;
    for (let scale = 1; scale < 2 ** 56; scale *= 128) {
      const byte = bytes[at++]!;
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value > Number.MAX_SAFE_INTEGER ? NONE : value;
    }
    return NONE;
  };
  /** Whether the field at the cursor is a label of a name and a value, or no label at all; steps over it. */
  const isLabelSound = (bytes: Uint8Array, stop: number): boolean => {
    at++;
    const labelBytes = prefix(bytes, stop);
    if (labelBytes < 4 || bytes[at] !== 0x0a) return false;
    const labelEnd = at + labelBytes;
    at++;
    const nameBytes = prefix(bytes, labelEnd);
    if (nameBytes === NONE) return false;
    at += nameBytes;
    if (at >= labelEnd || bytes[at] !== 0x12) return false;
    at++;
    const valueBytes = prefix(bytes, labelEnd);
    at += valueBytes;
    return valueBytes !== NONE && at === labelEnd;
  };

  return {
    scanWriteRequest(bytesPtr, length, rowsPtr, rowMax, timesPtr, valuesPtr, sampleMax, statePtr) {
      const { bytes, data, doubles, words } = memory;
      const state = statePtr >>> 2;
      const end = bytesPtr + length;
      const scanSample = (sampleEnd: number, sample: number): boolean => {
        const sampleBytes = sampleEnd - at;
        const valueAt = valuesPtr + sample * 8;
        if (sampleBytes >= 9 && bytes[at] === 0x09) {
          bytes.copyWithin(valueAt, at + 1, at + 9);
          at += 9;
        } else bytes.fill(0, valueAt, valueAt + 8);
        let timeMs = 0;
        if (at < sampleEnd && bytes[at] === 0x10) {
          at++;
          timeMs = time(bytes);
        }
        if (timeMs === NONE || at !== sampleEnd) return false;
        doubles[(timesPtr >>> 3) + sample] = timeMs;
        return true;
      };
      /** Scans the series at the cursor. @returns samples up to its end, or a negative reason to stop */
      const scanSeries = (before: number): number => {
        if (bytes[at] !== 0x0a) return -WRITE_SCAN.other;
        at++;
        const seriesBytes = prefix(bytes, end);
        if (seriesBytes === NONE) return -WRITE_SCAN.other;
        const stop = at + seriesBytes;
        const labelsStart = at;
        while (at < stop && bytes[at] === 0x0a) if (!isLabelSound(bytes, stop)) return -WRITE_SCAN.other;
        const labelsEnd = at;
        if (labelsEnd === labelsStart) return -WRITE_SCAN.other;
        let samples = before;
        while (at < stop && bytes[at] === 0x12) {
          at++;
          const sampleBytes = prefix(bytes, stop);
          if (sampleBytes === NONE) return -WRITE_SCAN.other;
          if (samples === sampleMax) return -WRITE_SCAN.noRoom;
          if (!scanSample(at + sampleBytes, samples)) return -WRITE_SCAN.other;
          samples++;
        }
        if (at !== stop) return -WRITE_SCAN.other;
        const row = rowsPtr + words[state + 1]! * 12;
        data.setUint32(row, labelsStart - bytesPtr, true);
        data.setUint32(row + 4, labelsEnd - bytesPtr, true);
        data.setUint32(row + 8, samples, true);
        return samples;
      };

      at = bytesPtr + words[state]!;
      while (at < end) {
        if (words[state + 1] === rowMax) return WRITE_SCAN.noRoom;
        const samples = scanSeries(words[state + 2]!);
        if (samples < 0) return -samples;
        words[state] = at - bytesPtr;
        words[state + 1]!++;
        words[state + 2] = samples;
      }
      return WRITE_SCAN.end;
    },
  };
}
