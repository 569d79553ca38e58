/** Twin of as/counter-resets.ts: a counter as its running total. The rule with all its cases stands in packages/dedup/src/counter-resets.ts. */

/**
 * As ReplicaKernels.applyCounterResets, over views.
 * @param count samples in both columns
 * @returns samples left
 */
export function sumCounterColumns(timestampsMs: Float64Array, values: Float64Array, count: number): number {
  let length = 0;
  let lastTime = 0;
  let lastValue = 0;
  let total = 0;
  for (let i = 0; i < count; i++) {
    const time = timestampsMs[i]!;
    const value = values[i]!;
    if (value !== value) continue;
    if (length === 0) {
      total = value;
    } else if (time > lastTime) {
      total += value >= lastValue ? value - lastValue : value;
    } else {
      if (time === lastTime) lastValue = value;
      continue;
    }
    lastTime = time;
    lastValue = value;
    timestampsMs[length] = time;
    values[length] = total;
    length++;
  }
  return length;
}
