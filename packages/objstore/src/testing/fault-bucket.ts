/**
 * A bucket whose n-th operation fails, for exhaustive kill-after-every-operation tests:
 *
 *   before   the operation does not happen, the caller gets an error
 *   after    it happens, the caller gets an error (write applied, answer lost)
 *
 * From the failure on every operation fails, as after a kill, unless `isOnce`.
 */
import type { Bucket } from '../bucket.ts';
import { ObjstoreError } from '../errors.ts';

/** When the chosen operation fails. */
export type FaultMode = 'before' | 'after';

/** A bucket with a planned failure. */
export interface FaultBucket extends Bucket {
  /** Operations begun so far. */
  operations(): number;
  /** Whether the failure has happened. */
  hasFailed(): boolean;
}

/**
 * @param failAt number of the operation that fails, from 1; Infinity for none
 * @param isOnce true: operations after it succeed again
 */
export function createFaultBucket(bucket: Bucket, failAt: number, mode: FaultMode, isOnce: boolean = false): FaultBucket {
  let begun = 0;
  let failed = false;
  const fault = (what: string): ObjstoreError => new ObjstoreError('ERR_BUCKET_FAULT', `${what} in bucket ${bucket.name}: scripted failure of operation ${failAt}`);
  async function run<T>(what: string, work: () => Promise<T>): Promise<T> {
    begun++;
    if (failed && !isOnce) throw fault(what);
    if (begun !== failAt) return work();
    failed = true;
    if (mode === 'after') await work();
    throw fault(what);
  }
  async function* each<T>(what: string, source: () => AsyncIterable<T>): AsyncGenerator<T> {
    await run(what, () => Promise.resolve());
    yield* source();
  }
  return {
    name: bucket.name,
    provider: bucket.provider,
    operations: () => begun,
    hasFailed: () => failed,
    iter: (dir, o) => each(`iter ${dir}`, () => bucket.iter(dir, o)),
    iterEntries: (dir, o) => each(`iter ${dir}`, () => bucket.iterEntries(dir, o)),
    get: (key, o) => run(`get ${key}`, () => bucket.get(key, o)),
    stream: (key, o) => each(`get ${key}`, () => bucket.stream(key, o)),
    getRange: (key, offset, length, o) => run(`get range of ${key}`, () => bucket.getRange(key, offset, length, o)),
    getRangeInto: (key, offset, target, o) => run(`get range of ${key}`, () => bucket.getRangeInto(key, offset, target, o)),
    exists: (key, o) => run(`check ${key}`, () => bucket.exists(key, o)),
    attributes: (key, o) => run(`get attributes of ${key}`, () => bucket.attributes(key, o)),
    upload: (key, body, o) => run(`upload ${key}`, () => bucket.upload(key, body, o)),
    delete: (key, o) => run(`delete ${key}`, () => bucket.delete(key, o)),
    supportsConditionalWrites: (o) => bucket.supportsConditionalWrites(o),
    close: () => bucket.close(),
  };
}
