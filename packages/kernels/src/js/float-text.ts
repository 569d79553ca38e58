/**
 * Twin of as/float-text.ts and as/points-json.ts. JavaScript's own number text has the same digits (shortest, nearest) and the same
 * borders between the two layouts; only signs, infinities and the exponent's width differ.
 */
import type { LinearMemory } from '../kernel-memory.ts';
import { type FloatTextKernels, POINT_JSON_BYTES_MAX, STEP_JSON_ROOM, STEP_TEXT_BYTES } from '../kernels.ts';

/** Number text kernels in TypeScript. */
export function createFloatTextTwin(memory: LinearMemory): FloatTextKernels {
  return {
    writeFloat: (value, outPtr) => putAscii(memory.bytes, outPtr, formatFloat(value)) - outPtr,
    writePointsJson: (timestampsPtr, valuesPtr, count, outPtr, outMax) => writePoints(memory, timestampsPtr, valuesPtr, count, outPtr, outMax),
    writeStepTexts: (firstMs, stepMs, steps, textPtr) => writeStepTexts(memory.bytes, firstMs, stepMs, steps, textPtr),
    writeStepsJson: (textPtr, valuesPtr, presentPtr, steps, outPtr, outMax) => writeSteps(memory, textPtr, valuesPtr, presentPtr, steps, outPtr, outMax),
  };
}

/** A sample value as Prometheus prints it; the same as `writeFloat`, for single values outside of the memory. */
export function formatFloat(value: number): string {
  if (value !== value) return 'NaN';
  if (value === Infinity) return '+Inf';
  if (value === -Infinity) return '-Inf';
  if (value === 0) return Object.is(value, -0) ? '-0' : '0';
  const text = String(value);
  // Exponents have two digits at least: 1e-7 → 1e-07. Positive ones begin at 21.
  return text.charCodeAt(text.length - 2) === 0x2d && text.length > 3 ? `${text.slice(0, -1)}0${text.slice(-1)}` : text;
}

/** A timestamp in milliseconds as Prometheus' JSON has it: seconds with three decimals or none. */
export function formatTimestamp(timestampMs: number): string {
  const magnitude = Math.abs(timestampMs);
  const seconds = Math.floor(magnitude / 1000);
  const fraction = magnitude - seconds * 1000;
  const sign = timestampMs < 0 ? '-' : '';
  return fraction === 0 ? `${sign}${seconds}` : `${sign}${seconds}.${String(fraction).padStart(3, '0')}`;
}

function writePoints(memory: LinearMemory, timestampsPtr: number, valuesPtr: number, count: number, outPtr: number, outMax: number): number {
  const { bytes, doubles } = memory;
  const outEnd = outPtr + outMax;
  let out = outPtr;
  for (let i = 0; i < count; i++) {
    if (out + POINT_JSON_BYTES_MAX > outEnd) return -2;
    const timestamp = doubles[(timestampsPtr >>> 3) + i]!;
    if (!Number.isSafeInteger(timestamp)) return -1;
    const text = `${i > 0 ? ',' : ''}[${formatTimestamp(timestamp)},"${formatFloat(doubles[(valuesPtr >>> 3) + i]!)}"]`;
    out = putAscii(bytes, out, text);
  }
  return out - outPtr;
}

function writeStepTexts(bytes: Uint8Array, firstMs: number, stepMs: number, steps: number, textPtr: number): number {
  for (let k = 0; k < steps; k++) {
    const timestamp = firstMs + k * stepMs;
    if (!Number.isSafeInteger(timestamp)) return -1;
    const at = textPtr + k * STEP_TEXT_BYTES;
    bytes[at + STEP_TEXT_BYTES - 1] = putAscii(bytes, at, `[${formatTimestamp(timestamp)},"`) - at;
  }
  return steps;
}

function writeSteps(memory: LinearMemory, textPtr: number, valuesPtr: number, presentPtr: number, steps: number, outPtr: number, outMax: number): number {
  const { bytes, doubles } = memory;
  const outEnd = outPtr + outMax;
  let out = outPtr;
  for (let k = 0; k < steps; k++) {
    if (bytes[presentPtr + k] === 0) continue;
    if (out + POINT_JSON_BYTES_MAX + STEP_JSON_ROOM > outEnd) return -2;
    if (out !== outPtr) bytes[out++] = 0x2c;
    const text = textPtr + k * STEP_TEXT_BYTES;
    const length = bytes[text + STEP_TEXT_BYTES - 1]!;
    bytes.copyWithin(out, text, text + length);
    out = putAscii(bytes, out + length, `${formatFloat(doubles[(valuesPtr >>> 3) + k]!)}"]`);
  }
  return out - outPtr;
}

function putAscii(bytes: Uint8Array, at: number, text: string): number {
  for (let i = 0; i < text.length; i++) bytes[at + i] = text.charCodeAt(i);
  return at + text.length;
}
