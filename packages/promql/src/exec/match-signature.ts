/** Match groups of vector matching: which series of two vectors belong together, by `on (…)` or `ignoring (…)`. */
import { type Labels, METRIC_NAME } from '@gauntlet/model';
import type { VectorMatching } from '../parser/ast.ts';
import { filterLabels, groupingKey } from './labels.ts';
import type { StepMatrix } from './step-matrix.ts';

/** Match group of every row on both sides. */
export interface MatchGroups {
  readonly lhs: Int32Array;
  readonly rhs: Int32Array;
  readonly count: number;
}

/** Numbers the match groups of two vectors. */
export function matchGroups(matching: VectorMatching, lhs: StepMatrix, rhs: StepMatrix): MatchGroups {
  const keyOf = matching.on ? groupingKey(matching.labels, false) : groupingKey([...matching.labels, METRIC_NAME], true);
  const groups = new Map<string, number>();
  const number = (matrix: StepMatrix): Int32Array => {
    const ids = new Int32Array(matrix.rows);
    for (let row = 0; row < matrix.rows; row++) {
      const key = keyOf(matrix.labels[row]!);
      let id = groups.get(key);
      if (id === undefined) {
        id = groups.size;
        groups.set(key, id);
      }
      ids[row] = id;
    }
    return ids;
  };
  return { lhs: number(lhs), rhs: number(rhs), count: groups.size };
}

/** The labels two series of a match group have in common. */
export function matchLabels(matching: VectorMatching, labels: Labels): Labels {
  if (matching.on) return filterLabels(labels, (name) => matching.labels.includes(name));
  return filterLabels(labels, (name) => name !== METRIC_NAME && !matching.labels.includes(name));
}
