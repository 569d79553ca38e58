/** Match groups of vector matching: which series of two vectors belong together, by `on (…)` or `ignoring (…)`. */
import { type Labels, METRIC_NAME } from '@gauntlet/model';
import type { VectorMatching } from '../parser/ast.ts';
import { KeyTable } from './key-table.ts';
import { filterLabels, groupingKey } from './labels.ts';
import type { QueryContext } from './query-context.ts';
import type { StepMatrix } from './step-matrix.ts';

/** Match group of every row on both sides. */
export interface MatchGroups {
  readonly lhs: Int32Array;
  readonly rhs: Int32Array;
  readonly count: number;
}

/** Numbers the match groups of two vectors. */
export function matchGroups(context: QueryContext, matching: VectorMatching, lhs: StepMatrix, rhs: StepMatrix): MatchGroups {
  const keyOf = matching.on ? groupingKey(matching.labels, false) : groupingKey([...matching.labels, METRIC_NAME], true);
  const keys = new KeyTable(context);
  const number = (matrix: StepMatrix): Int32Array => {
    const ids = new Int32Array(matrix.rows);
    for (let row = 0; row < matrix.rows; row++) {
      ids[row] = keys.idOf(keyOf(matrix.labels[row]!));
    }
    return ids;
  };
  const groups = { lhs: number(lhs), rhs: number(rhs), count: keys.size };
  keys.free();
  return groups;
}

/** The labels two series of a match group have in common. */
export function matchLabels(matching: VectorMatching, labels: Labels): Labels {
  if (matching.on) return filterLabels(labels, (name) => matching.labels.includes(name));
  return filterLabels(labels, (name) => name !== METRIC_NAME && !matching.labels.includes(name));
}
