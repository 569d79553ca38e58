/**
 * A native histogram as JSON:
 *
 *   [ts,{"count":"3","sum":"5","buckets":[[rule,"lower","upper","count"],…]}]     rule 0 (l,u]   1 [l,u)   2 (l,u)   3 [l,u]
 *
 * Buckets ascend, empty ones are left out, and so is the list if all are. Source: Prometheus util/jsonutil/marshal.go.
 */
import { formatFloat, formatTimestamp } from '@gauntlet/kernels';
import { allBuckets, type FloatHistogram } from '@gauntlet/model';

/** A sample of a histogram series, as text. */
export function histogramPoint(timeMs: number, histogram: FloatHistogram): string {
  let buckets = '';
  const cursor = allBuckets(histogram);
  while (cursor.next()) {
    if (cursor.count === 0) continue;
    const rule = cursor.lowerInclusive ? (cursor.upperInclusive ? 3 : 1) : cursor.upperInclusive ? 0 : 2;
    buckets += `${buckets === '' ? ',"buckets":[' : ','}[${rule},"${formatFloat(cursor.lower)}","${formatFloat(cursor.upper)}","${formatFloat(cursor.count)}"]`;
  }
  const list = buckets === '' ? '' : `${buckets}]`;
  return `[${formatTimestamp(timeMs)},{"count":"${formatFloat(histogram.count)}","sum":"${formatFloat(histogram.sum)}"${list}}]`;
}
