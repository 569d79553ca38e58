/** One place that sees every operation of a bucket begin and end; metrics and the ledger are built on it. */
import type { Bucket, BucketEntry, BucketOptions, IterOptions } from './bucket.ts';
import { bodySize } from './upload-body.ts';

/** Operation names, as the metrics have them. */
export const BUCKET_OPERATIONS = ['iter', 'get', 'get_range', 'exists', 'upload', 'delete', 'attributes'] as const;
/** One of {@link BUCKET_OPERATIONS}. */
export type BucketOperation = (typeof BUCKET_OPERATIONS)[number];

/** What an observer is told when an operation begins. */
export interface OperationStart {
  readonly operation: BucketOperation;
  readonly key: string;
  /** Of a range; 0 else. */
  readonly offset: number;
  /** Of a range; -1 else, and for "to the end". */
  readonly length: number;
}

/** What it is told at the end. */
export interface OperationEnd {
  /** Bytes read or written. */
  readonly bytes: number;
  /** Undefined if it succeeded. */
  readonly error: unknown;
  /** Whether the caller reckoned with the error, or ended the operation itself. */
  readonly isExpected: boolean;
}

/** Called at the start of an operation; the returned function at its end, exactly once. */
export type OperationObserver = (start: OperationStart) => (end: OperationEnd) => void;

/** Wraps a bucket with an observer. */
export function observeBucket(bucket: Bucket, observe: OperationObserver): Bucket {
  const isExpected = (error: unknown, o: BucketOptions | undefined): boolean => o?.signal?.aborted === true || o?.isExpected?.(error) === true;

  async function run<T>(operation: BucketOperation, key: string, o: BucketOptions | undefined, bytesOf: (value: T) => number, work: () => Promise<T>, offset = 0, length = -1): Promise<T> {
    const end = observe({ operation, key, offset, length });
    let value: T;
    try {
      value = await work();
    } catch (error) {
      end({ bytes: 0, error, isExpected: isExpected(error, o) });
      throw error;
    }
    end({ bytes: bytesOf(value), error: undefined, isExpected: false });
    return value;
  }

  async function* each<T>(operation: BucketOperation, key: string, o: BucketOptions | undefined, bytesOf: (value: T) => number, source: () => AsyncIterable<T>): AsyncGenerator<T> {
    const end = observe({ operation, key, offset: 0, length: -1 });
    let bytes = 0;
    let failure: unknown;
    try {
      for await (const value of source()) {
        bytes += bytesOf(value);
        yield value;
      }
    } catch (error) {
      failure = error;
      throw error;
    } finally {
      end({ bytes, error: failure, isExpected: failure !== undefined && isExpected(failure, o) });
    }
  }

  const none = (): number => 0;
  async function* iterEntries(dir: string, o?: IterOptions): AsyncGenerator<BucketEntry> {
    yield* each('iter', dir, o, none, () => bucket.iterEntries(dir, o));
  }
  return {
    name: bucket.name,
    provider: bucket.provider,
    iterEntries,
    async *iter(dir, o) { for await (const entry of iterEntries(dir, o)) yield entry.name; },
    get: (key, o) => run('get', key, o, (b) => b.length, () => bucket.get(key, o)),
    stream: (key, o) => each('get', key, o, (b) => b.length, () => bucket.stream(key, o)),
    getRange: (key, offset, length, o) => run('get_range', key, o, (b) => b.length, () => bucket.getRange(key, offset, length, o), offset, length),
    getRangeInto: (key, offset, target, o) => run('get_range', key, o, (n) => n, () => bucket.getRangeInto(key, offset, target, o), offset, target.length),
    exists: (key, o) => run('exists', key, o, none, () => bucket.exists(key, o)),
    attributes: (key, o) => run('attributes', key, o, none, () => bucket.attributes(key, o)),
    upload: (key, body, o) => {
      let bytes = 0;
      const counted = body instanceof Uint8Array || 'path' in body ? body : (async function* count() {
        for await (const piece of body) {
          bytes += piece.length;
          yield piece;
        }
      })();
      return run('upload', key, o, () => bytes, async () => {
        bytes = (await bodySize(body).catch(() => undefined)) ?? 0;
        return bucket.upload(key, counted, o);
      });
    },
    delete: (key, o) => run('delete', key, o, none, () => bucket.delete(key, o)),
    supportsConditionalWrites: (o) => bucket.supportsConditionalWrites(o),
    close: () => bucket.close(),
  };
}
