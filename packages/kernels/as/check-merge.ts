// Whether a run of samples is what several runs merge to: the proof of a merge, which shares nothing with merge-columns.ts. Contract in ../src/frame-kernels.ts;
// the twin is ../src/js/check-merge.ts. In TypeScript a loop over fresh columns takes 7 ns a sample, and longer once any memory of the thread has grown.

/** See Kernels.checkMerge. */
export function checkMerge(timestampsPtr: usize, valuesPtr: usize, lanesPtr: usize, laneCount: i32, first: i32, end: i32): i32 {
  // Columns lie as far apart for every sample: one address says where its time is and where its value.
  const apart = valuesPtr - timestampsPtr;
  const outEnd = timestampsPtr + (<usize>end << 3);
  let out = timestampsPtr + (<usize>first << 3);
  let previous: f64 = -Infinity;
  if (laneCount == 2) {
    let a = timestampsPtr + (<usize>load<u32>(lanesPtr) << 3);
    const aEnd = timestampsPtr + (<usize>load<u32>(lanesPtr, 4) << 3);
    let b = timestampsPtr + (<usize>load<u32>(lanesPtr, 8) << 3);
    const bEnd = timestampsPtr + (<usize>load<u32>(lanesPtr, 12) << 3);
    let aTime = a < aEnd ? load<f64>(a) : Infinity;
    let bTime = b < bEnd ? load<f64>(b) : Infinity;
    for (; out < outEnd; out += 8) {
      const time = load<f64>(out);
      const bits = load<u64>(out + apart);
      if (!(time > previous)) return 0;
      previous = time;
      let isFound = false;
      if (aTime == time) {
        isFound = load<u64>(a + apart) == bits;
        a += 8;
        aTime = a < aEnd ? load<f64>(a) : Infinity;
      }
      if (bTime == time) {
        if (load<u64>(b + apart) == bits) isFound = true;
        b += 8;
        bTime = b < bEnd ? load<f64>(b) : Infinity;
      }
      if (!isFound) return 0;
    }
    return a == aEnd && b == bEnd ? 1 : 0;
  }
  const lanesEnd = lanesPtr + (<usize>laneCount << 3);
  for (; out < outEnd; out += 8) {
    const time = load<f64>(out);
    const bits = load<u64>(out + apart);
    if (!(time > previous)) return 0;
    previous = time;
    let isFound = false;
    for (let lane = lanesPtr; lane < lanesEnd; lane += 8) {
      const at = load<u32>(lane);
      if (at == load<u32>(lane, 4)) continue;
      const sample = timestampsPtr + (<usize>at << 3);
      if (load<f64>(sample) != time) continue;
      store<u32>(lane, at + 1);
      if (load<u64>(sample + apart) == bits) isFound = true;
    }
    if (!isFound) return 0;
  }
  // A sample that the run lacks is never passed.
  for (let lane = lanesPtr; lane < lanesEnd; lane += 8) if (load<u32>(lane) != load<u32>(lane, 4)) return 0;
  return 1;
}
