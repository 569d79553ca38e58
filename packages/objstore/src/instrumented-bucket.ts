/** Metrics of a bucket, under the names Thanos' dashboards and alerts use. Source: objstore objstore.go, `WrapWithMetrics`. */
import type { Metrics } from '@gauntlet/service-kit';

import type { Bucket } from './bucket.ts';
import { BUCKET_OPERATIONS, observeBucket } from './wrap-bucket.ts';
import type { BucketOperation } from './wrap-bucket.ts';

const DURATION_BUCKETS = [0.001, 0.01, 0.1, 0.3, 0.6, 1, 3, 6, 9, 20, 30, 60, 90, 120];
const BYTES_BUCKETS: readonly number[] = Array.from({ length: 15 }, (_, i) => 1024 * 2 ** i);

/**
 * Counts operations, failures, durations and bytes of a bucket.
 * @param clock milliseconds since 1970, fractions included
 */
export function createInstrumentedBucket(bucket: Bucket, metrics: Metrics, clock: () => number = () => performance.timeOrigin + performance.now()): Bucket {
  const scope = metrics.withPrefix('thanos_objstore_bucket_').withLabels({ bucket: bucket.name });
  const labels = ['operation'];
  const operations = scope.counter({ name: 'operations_total', help: 'Total number of all attempted operations against a bucket.', labels });
  const failures = scope.counter({ name: 'operation_failures_total', help: 'Total number of operations against a bucket that failed, but were not expected to fail in certain way from caller perspective. Those errors have to be investigated.', labels });
  const fetched = scope.counter({ name: 'operation_fetched_bytes_total', help: 'Total number of bytes fetched from bucket, per operation.', labels });
  const transferred = scope.histogram({ name: 'operation_transferred_bytes', help: 'Number of bytes transferred from/to bucket per operation.', labels, buckets: BYTES_BUCKETS });
  const durations = scope.histogram({ name: 'operation_duration_seconds', help: 'Duration of successful operations against the bucket per operation - iter operations include time spent on each callback.', labels, buckets: DURATION_BUCKETS });
  const lastUpload = scope.gauge({ name: 'last_successful_upload_time', help: 'Second timestamp of the last successful upload to the bucket.' });
  const children = new Map(BUCKET_OPERATIONS.map((operation) => [operation, {
    operations: operations.with({ operation }), failures: failures.with({ operation }), fetched: fetched.with({ operation }),
    transferred: transferred.with({ operation }), durations: durations.with({ operation }),
  }] as const));
  const isFetch = (operation: BucketOperation): boolean => operation === 'get' || operation === 'get_range';

  return observeBucket(bucket, ({ operation }) => {
    const child = children.get(operation)!;
    child.operations.inc();
    const startMs = clock();
    return ({ bytes, error, isExpected }) => {
      if (isFetch(operation)) child.fetched.inc(bytes);
      if (error !== undefined) {
        if (!isExpected) child.failures.inc();
        return;
      }
      child.durations.observe((clock() - startMs) / 1000);
      if (isFetch(operation) || operation === 'upload') child.transferred.observe(bytes);
      if (operation === 'upload') lastUpload.set(clock() / 1000);
    };
  });
}
