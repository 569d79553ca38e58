/** The request ledger of a bucket: what was asked of it, in order, so that a query or a test can say what it cost. */
import type { Bucket } from './bucket.ts';
import { observeBucket } from './wrap-bucket.ts';
import type { BucketOperation } from './wrap-bucket.ts';

/** One operation. Fields about the end are final once it has ended. */
export interface BucketRequest {
  readonly operation: BucketOperation;
  readonly key: string;
  readonly offset: number;
  readonly length: number;
  isDone: boolean;
  bytes: number;
  error: unknown;
}

/** A list of operations on one or more buckets, bounded. */
export class BucketLedger {
  readonly #entriesMax: number;
  #entries: BucketRequest[] = [];

  /** @param entriesMax the oldest are dropped past this number */
  constructor(entriesMax: number = 100_000) {
    this.#entriesMax = entriesMax;
  }

  /** Notes the start of an operation. */
  open(start: Pick<BucketRequest, 'operation' | 'key' | 'offset' | 'length'>): BucketRequest {
    const entry: BucketRequest = { ...start, isDone: false, bytes: 0, error: undefined };
    this.#entries.push(entry);
    if (this.#entries.length > this.#entriesMax) this.#entries.splice(0, Math.ceil(this.#entriesMax / 10));
    return entry;
  }

  /** Operations since the start or the last reset. */
  entries(): readonly BucketRequest[] {
    return this.#entries;
  }

  /** Number of operations, of one kind if given. */
  count(operation?: BucketOperation): number {
    return operation === undefined ? this.#entries.length : this.#entries.filter((e) => e.operation === operation).length;
  }

  /** Bytes read and written in all. */
  bytes(): number {
    return this.#entries.reduce((sum, e) => sum + e.bytes, 0);
  }

  /** Forgets everything. */
  reset(): void {
    this.#entries = [];
  }
}

/** Wraps a bucket so that its operations are noted. */
export function createLedgerBucket(bucket: Bucket, ledger: BucketLedger): Bucket {
  return observeBucket(bucket, (start) => {
    const entry = ledger.open(start);
    return ({ bytes, error }) => {
      entry.isDone = true;
      entry.bytes = bytes;
      entry.error = error;
    };
  });
}
