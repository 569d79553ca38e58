// Remote-write requests → rows and columns. Contract in ../src/ingest-kernels.ts; the twin with the same results is ../src/js/write-request.ts.
//
//   request   0A length series …
//   series    0A length label …  12 length sample …
//   label     0A length name  12 length value
//   sample    09 eight bytes of the value, left out for 0 │ 10 varint time, left out for 0
//
// Source: Prometheus prompb/remote.proto, types.proto; protobuf.dev "Encoding".

const SAFE_MAX: u64 = 9007199254740991;
/** What `length` gives for one that is cut, goes beyond its message, or takes more than four bytes. */
const NONE: usize = 0xffffffff;

const END: i32 = 0;
const OTHER: i32 = 1;
const NO_ROOM: i32 = 2;

/** Where the next field begins. */
let at: usize = 0;

/** See WriteRequestKernels.scanWriteRequest. */
export function scanWriteRequest(bytesPtr: usize, length: u32, rowsPtr: usize, rowMax: i32, timesPtr: usize, valuesPtr: usize, sampleMax: i32, statePtr: usize): i32 {
  const end = bytesPtr + length;
  let rows = load<i32>(statePtr, 4);
  let samples = load<i32>(statePtr, 8);
  let row = rowsPtr + <usize>rows * 12;
  let reason = END;
  at = bytesPtr + <usize>load<u32>(statePtr);
  let begin = at;
  while (at < end) {
    if (rows == rowMax) {
      reason = NO_ROOM;
      break;
    }
    const to = scanSeries(end, bytesPtr, row, timesPtr, valuesPtr, samples, sampleMax);
    if (to < 0) {
      reason = -to;
      break;
    }
    samples = to;
    row += 12;
    rows++;
    begin = at;
  }
  store<u32>(statePtr, <u32>(begin - bytesPtr));
  store<i32>(statePtr, rows, 4);
  store<i32>(statePtr, samples, 8);
  return reason;
}

/** Scans the series at the cursor. Returns the samples up to its end, or a negative reason to stop. */
// @ts-ignore: decorator
@inline
function scanSeries(end: usize, bytesPtr: usize, row: usize, timesPtr: usize, valuesPtr: usize, samples: i32, sampleMax: i32): i32 {
  if (load<u8>(at) != 0x0a) return -OTHER;
  at++;
  const seriesBytes = prefix(end);
  if (seriesBytes == NONE) return -OTHER;
  const stop = at + seriesBytes;

  const labelsStart = at;
  while (at < stop && load<u8>(at) == 0x0a) {
    at++;
    const labelBytes = prefix(stop);
    if (labelBytes == NONE || labelBytes < 4 || load<u8>(at) != 0x0a) return -OTHER;
    const labelEnd = at + labelBytes;
    at++;
    const nameBytes = prefix(labelEnd);
    if (nameBytes == NONE) return -OTHER;
    at += nameBytes;
    if (at >= labelEnd || load<u8>(at) != 0x12) return -OTHER;
    at++;
    const valueBytes = prefix(labelEnd);
    if (valueBytes == NONE) return -OTHER;
    at += valueBytes;
    if (at != labelEnd) return -OTHER;
  }
  const labelsEnd = at;
  if (labelsEnd == labelsStart) return -OTHER;

  while (at < stop && load<u8>(at) == 0x12) {
    at++;
    const sampleBytes = prefix(stop);
    if (sampleBytes == NONE) return -OTHER;
    const sampleEnd = at + sampleBytes;
    if (samples == sampleMax) return -NO_ROOM;
    let value: u64 = 0;
    let time: u64 = 0;
    if (sampleBytes >= 9 && load<u8>(at) == 0x09) {
      value = load<u64>(at, 1);
      at += 9;
    }
    if (at < sampleEnd && load<u8>(at) == 0x10) {
      at++;
      // A varint of up to eight bytes at once: where it ends, what lies behind cut off, groups of seven bits moved together.
      let bits = load<u64>(at);
      const ends = ~bits & 0x8080808080808080;
      if (ends == 0) return -OTHER;
      at += <usize>(ctz(ends) >>> 3) + 1;
      bits &= ends ^ (ends - 1);
      bits = ((bits & 0x7f007f007f007f00) >>> 1) | (bits & 0x007f007f007f007f);
      bits = ((bits & 0x3fff00003fff0000) >>> 2) | (bits & 0x00003fff00003fff);
      time = ((bits >>> 32) << 28) | (bits & 0xfffffff);
      if (time > SAFE_MAX) return -OTHER;
    }
    if (at != sampleEnd) return -OTHER;
    store<f64>(timesPtr + (<usize>samples << 3), <f64>time);
    store<u64>(valuesPtr + (<usize>samples << 3), value);
    samples++;
  }
  if (at != stop) return -OTHER;
  store<u32>(row, <u32>(labelsStart - bytesPtr));
  store<u32>(row, <u32>(labelsEnd - bytesPtr), 4);
  store<i32>(row, samples, 8);
  return samples;
}

/** Reads the length of what follows, which must end at `limit` at the latest; NONE for any other. */
// @ts-ignore: decorator
@inline
function prefix(limit: usize): usize {
  if (at < limit) {
    const byte = <usize>load<u8>(at);
    if (byte < 0x80) {
      at++;
      return byte <= limit - at ? byte : NONE;
    }
  }
  return longPrefix(limit);
}

function longPrefix(limit: usize): usize {
  let length: usize = 0;
  for (let shift: usize = 0; shift < 28; shift += 7) {
    if (at >= limit) return NONE;
    const byte = <usize>load<u8>(at++);
    length |= (byte & 0x7f) << shift;
    if (byte < 0x80) return length <= limit - at ? length : NONE;
  }
  return NONE;
}
