// Sorted runs of samples → one run in which every timestamp is once. Contract in ../src/frame-kernels.ts; the twin is ../src/js/merge-columns.ts.

const CONFLICT: i32 = -1;

/** See Kernels.mergeColumns. */
export function mergeColumns(timestampsPtr: usize, valuesPtr: usize, lanesPtr: usize, laneCount: i32, outTimestampsPtr: usize, outValuesPtr: usize): i32 {
  // Columns lie as far apart for every sample: one address says where its time is and where its value.
  const apart = valuesPtr - timestampsPtr;
  const outApart = outValuesPtr - outTimestampsPtr;
  if (laneCount == 2) {
    const a = timestampsPtr + (<usize>load<u32>(lanesPtr) << 3);
    const aEnd = timestampsPtr + (<usize>load<u32>(lanesPtr, 4) << 3);
    const b = timestampsPtr + (<usize>load<u32>(lanesPtr, 8) << 3);
    const bEnd = timestampsPtr + (<usize>load<u32>(lanesPtr, 12) << 3);
    return mergePair(a, aEnd, b, bEnd, apart, outTimestampsPtr, outApart);
  }
  const lanesEnd = lanesPtr + (<usize>laneCount << 3);
  let out = outTimestampsPtr;
  while (true) {
    let earliest: usize = 0;
    let time: f64 = Infinity;
    for (let lane = lanesPtr; lane < lanesEnd; lane += 8) {
      const at = load<u32>(lane);
      if (at >= load<u32>(lane, 4)) continue;
      const its = load<f64>(timestampsPtr + (<usize>at << 3));
      if (its < time) {
        time = its;
        earliest = lane;
      }
    }
    if (earliest == 0) return <i32>((out - outTimestampsPtr) >> 3);
    const at = load<u32>(earliest);
    const bits = load<u64>(valuesPtr + (<usize>at << 3));
    store<u32>(earliest, at + 1);
    for (let lane = earliest + 8; lane < lanesEnd; lane += 8) {
      const other = load<u32>(lane);
      if (other >= load<u32>(lane, 4)) continue;
      const sample = timestampsPtr + (<usize>other << 3);
      if (load<f64>(sample) != time) continue;
      if (load<u64>(sample + apart) != bits) return CONFLICT;
      store<u32>(lane, other + 1);
    }
    store<f64>(out, time);
    store<u64>(out + outApart, bits);
    out += 8;
  }
}

/** Two runs: a pair of replicas. */
function mergePair(a: usize, aEnd: usize, b: usize, bEnd: usize, apart: usize, outPtr: usize, outApart: usize): i32 {
  let out = outPtr;
  if (a < aEnd && b < bEnd) {
    let aTime = load<f64>(a);
    let bTime = load<f64>(b);
    while (true) {
      if (aTime < bTime) {
        store<f64>(out, aTime);
        store<u64>(out + outApart, load<u64>(a + apart));
        out += 8;
        a += 8;
        if (a == aEnd) break;
        aTime = load<f64>(a);
      } else {
        store<f64>(out, bTime);
        const bits = load<u64>(b + apart);
        store<u64>(out + outApart, bits);
        out += 8;
        b += 8;
        if (aTime == bTime) {
          if (load<u64>(a + apart) != bits) return CONFLICT;
          a += 8;
          if (a == aEnd) break;
          aTime = load<f64>(a);
        }
        if (b == bEnd) break;
        bTime = load<f64>(b);
      }
    }
  }
  if (a == aEnd) {
    a = b;
    aEnd = bEnd;
  }
  memory.copy(out, a, aEnd - a);
  memory.copy(out + outApart, a + apart, aEnd - a);
  return <i32>((out + (aEnd - a) - outPtr) >> 3);
}
