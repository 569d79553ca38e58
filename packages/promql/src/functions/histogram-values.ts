/** Functions that give one number of a native histogram; floats give nothing. Source: Prometheus promql/functions.go, simpleHistogramFunc. */
import { averageOfHistogram, type FloatHistogram, varianceOfHistogram } from '@gauntlet/model';
import type { QueryContext } from '../exec/query-context.ts';
import type { StepMatrix } from '../exec/step-matrix.ts';

/** By name. */
export const HISTOGRAM_VALUES: ReadonlyMap<string, (histogram: FloatHistogram) => number> = new Map<string, (histogram: FloatHistogram) => number>([
  ['histogram_avg', averageOfHistogram],
  ['histogram_count', (histogram) => histogram.count],
  ['histogram_stddev', (histogram) => Math.sqrt(varianceOfHistogram(histogram))],
  ['histogram_stdvar', varianceOfHistogram],
  ['histogram_sum', (histogram) => histogram.sum],
]);

/** Replaces histograms by numbers and takes out floats, in place. */
export function valuesOfHistograms(context: QueryContext, matrix: StepMatrix, f: (histogram: FloatHistogram) => number): StepMatrix {
  context.drop(matrix.count());
  for (let row = 0; row < matrix.rows; row++) {
    for (let k = 0; k < matrix.steps; k++) {
      const histogram = matrix.histogramAt(row, k);
      const at = row * matrix.steps + k;
      if (histogram === undefined) matrix.present[at] = 0;
      else matrix.values[at] = f(histogram);
    }
  }
  matrix.histograms = undefined;
  matrix.keepRows((row) => matrix.hasValues(row));
  context.hold(matrix.count());
  return matrix;
}
