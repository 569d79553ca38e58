/** label_replace and label_join: functions that change labels and leave values and names alone. */
import { compileSearch, getLabel, isValidLabelName, type Labels, METRIC_NAME, type SearchRegexp, withLabel } from '@gauntlet/model';
import { PromqlError } from '../errors.ts';
import type { StepMatrix } from '../exec/step-matrix.ts';
import type { PositionRange } from '../parser/ast.ts';

/** Changes labels in place. */
export type Relabelling = (matrix: StepMatrix) => StepMatrix;

/** label_replace with its arguments checked. @throws PromqlError ERR_EXECUTION for a bad expression or label name */
export function labelReplace(dst: string, replacement: string, src: string, regex: string, pos: PositionRange): Relabelling {
  let search: SearchRegexp;
  try {
    search = compileSearch(regex);
  } catch (cause) {
    throw new PromqlError('ERR_EXECUTION', `invalid regular expression in label_replace(): ${regex}`, { pos, cause });
  }
  checkName('label_replace', 'destination', dst, pos);
  const template = search.template(replacement);
  return (matrix) =>
    relabel(matrix, dst, (labels) => {
      const value = getLabel(labels, src);
      const groups = search.match(value);
      return groups === undefined ? undefined : template.expand(value, groups);
    });
}

/** label_join with its arguments checked. */
export function labelJoin(dst: string, separator: string, sources: readonly string[], pos: PositionRange): Relabelling {
  for (const source of sources) checkName('label_join', 'source', source, pos);
  checkName('label_join', 'destination', dst, pos);
  return (matrix) => relabel(matrix, dst, (labels) => sources.map((source) => getLabel(labels, source)).join(separator));
}

function checkName(func: string, which: string, name: string, pos: PositionRange): void {
  // The replacement character is what bytes that are no UTF-8 became when the string literal was read.
  if (!isValidLabelName(name) || name.includes('\ufffd')) throw new PromqlError('ERR_EXECUTION', `invalid ${which} label name in ${func}(): ${name}`, { pos });
}

/** Sets `dst` of every row to what `valueFor` gives; undefined leaves the row alone. */
function relabel(matrix: StepMatrix, dst: string, valueFor: (labels: Labels) => string | undefined): StepMatrix {
  for (let row = 0; row < matrix.rows; row++) {
    const labels = matrix.labels[row]!;
    const value = valueFor(labels);
    if (value === undefined) continue;
    matrix.setLabels(row, withLabel(labels, dst, value));
    // A name set on purpose is not removed later.
    if (dst === METRIC_NAME) matrix.dropName[row] = false;
  }
  return matrix;
}
