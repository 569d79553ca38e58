/**
 * The contract of a Bucket, run over every provider. A provider may say which cases it cannot meet, each with a reason.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { compareUtf8 } from '@gauntlet/bytes';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';

import type { Bucket, UploadBody } from '../bucket.ts';
import { isNotFound } from '../errors.ts';
import { createMemoryBucket } from '../memory-bucket.ts';

/** What the suite needs to know of a provider. */
export interface BucketContractOptions {
  /** Cases to leave out: name → reason. */
  readonly skips?: Readonly<Record<string, string>>;
  /** Runs of the random comparison with the model; default 30. */
  readonly runs?: number;
}

async function collect<T>(source: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const value of source) all.push(value);
  return all;
}

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString('utf8');
const code = (error: unknown): string => (error as { code?: string }).code ?? String(error);

/**
 * Declares the suite.
 * @param create opens a bucket to which the suite alone writes; it is emptied between cases and closed at the end
 */
export function describeBucketContract(name: string, create: () => Promise<Bucket>, options: BucketContractOptions = {}): void {
  describe(`bucket contract: ${name}`, () => {
    let bucket: Bucket;
    let folder: string;
    beforeAll(async () => {
      bucket = await create();
      folder = await mkdtemp(join(tmpdir(), 'gauntlet-bucket-'));
    });
    afterAll(async () => {
      for (const key of await collect(bucket.iter('', { recursive: true }))) await bucket.delete(key);
      await bucket.close();
      await rm(folder, { recursive: true });
    });
    beforeEach(async () => {
      for (const key of await collect(bucket.iter('', { recursive: true }))) await bucket.delete(key);
    });
    const check = (title: string, work: () => Promise<void>): void => {
      const reason = options.skips?.[title];
      if (reason === undefined) test(title, work);
      else test.skip(`${title} (skipped: ${reason})`, work);
    };
    const put = (key: string, body: UploadBody | string = key): Promise<string> => bucket.upload(key, typeof body === 'string' ? Buffer.from(body) : body);

    check('an object comes back, is replaced, is deleted', async () => {
      await put('dir/object', 'first');
      expect(text(await bucket.get('dir/object'))).toBe('first');
      await put('dir/object', 'second one');
      expect(text(await bucket.get('dir/object'))).toBe('second one');
      expect(await bucket.exists('dir/object')).toBe(true);
      await bucket.delete('dir/object');
      expect(await bucket.exists('dir/object')).toBe(false);
      await bucket.delete('dir/object');
      expect(await collect(bucket.iter(''))).toEqual([]);
    });

    check('bytes, files and streams are uploaded alike, empty ones too', async () => {
      const bytes = Buffer.alloc(300_000, 'abcdefg');
      await writeFile(join(folder, 'file'), bytes);
      await writeFile(join(folder, 'none'), '');
      async function* pieces(): AsyncGenerator<Uint8Array> {
        for (let at = 0; at < bytes.length; at += 70_001) yield bytes.subarray(at, at + 70_001);
      }
      const bodies: readonly (readonly [string, UploadBody, Buffer])[] = [
        ['bytes', bytes, bytes], ['file', { path: join(folder, 'file') }, bytes], ['stream', pieces(), bytes],
        ['no bytes', new Uint8Array(0), Buffer.alloc(0)], ['empty file', { path: join(folder, 'none') }, Buffer.alloc(0)],
      ];
      for (const [key, body, wanted] of bodies) {
        await bucket.upload(key, body);
        expect(Buffer.compare(await bucket.get(key), wanted)).toBe(0);
        expect(Buffer.compare(Buffer.concat(await collect(bucket.stream(key))), wanted)).toBe(0);
        expect((await bucket.attributes(key)).size).toBe(wanted.length);
      }
    });

    check('a missing object is not found', async () => {
      await put('present');
      for (const attempt of [() => bucket.get('missing'), () => bucket.getRange('missing', 0, 1), () => bucket.getRangeInto('missing', 0, new Uint8Array(1)), () => bucket.attributes('missing'), () => collect(bucket.stream('missing')), () => bucket.get('present/below')]) {
        const error = await attempt().then(() => undefined, (e: unknown) => e);
        expect(isNotFound(error)).toBe(true);
        expect((error as Error).message).toContain(bucket.name);
      }
      expect(await bucket.exists('missing')).toBe(false);
      expect(await bucket.exists('present/below')).toBe(false);
    });

    check('a directory is not an object', async () => {
      await put('d/x');
      expect(await bucket.exists('d')).toBe(false);
      await expect(bucket.get('d')).rejects.toMatchObject({ code: 'ERR_OBJECT_NOT_FOUND' });
      await bucket.delete('d');
      expect(await bucket.exists('d/x')).toBe(true);
    });

    check('names that are none are refused', async () => {
      for (const key of ['', '/', '/a', 'a/', 'a//b', '.', '..', 'a/../b', '../a', 'a\u0000b', '\ud800']) {
        expect(code(await bucket.upload(key, Buffer.from('x')).catch((e: unknown) => e))).toBe('ERR_OBJECT_KEY');
        expect(code(await bucket.get(key).catch((e: unknown) => e))).toBe('ERR_OBJECT_KEY');
        expect(code(await bucket.exists(key).catch((e: unknown) => e))).toBe('ERR_OBJECT_KEY');
        expect(code(await bucket.delete(key).catch((e: unknown) => e))).toBe('ERR_OBJECT_KEY');
      }
      expect(code(await collect(bucket.iter('../x')).catch((e: unknown) => e))).toBe('ERR_OBJECT_KEY');
    });

    check('ranges: within, to the end, past the end', async () => {
      await put('r', '0123456789');
      expect(text(await bucket.getRange('r', 0, 4))).toBe('0123');
      expect(text(await bucket.getRange('r', 4, -1))).toBe('456789');
      expect(text(await bucket.getRange('r', 8, 100))).toBe('89');
      expect((await bucket.getRange('r', 3, 0)).length).toBe(0);
      const target = new Uint8Array(12).fill(42);
      expect(await bucket.getRangeInto('r', 2, target.subarray(1, 5))).toBe(4);
      expect(text(target)).toBe('*2345*******');
      expect(await bucket.getRangeInto('r', 7, target)).toBe(3);
      await expect(bucket.getRange('r', 10, 1)).rejects.toMatchObject({ code: 'ERR_OBJECT_RANGE' });
      await expect(bucket.getRange('r', 11, -1)).rejects.toMatchObject({ code: 'ERR_OBJECT_RANGE' });
    });

    check('attributes: size, time, and an etag that tells versions apart', async () => {
      const etag = await put('a', '12345');
      const first = await bucket.attributes('a');
      expect(first).toMatchObject({ size: 5, etag });
      expect(Math.abs(first.lastModifiedMs - Date.now())).toBeLessThan(5 * 60_000);
      expect(await put('a', '12346')).not.toBe(etag);
      const entries = await collect(bucket.iterEntries('', { recursive: true }));
      expect(entries.map((e) => [e.name, e.size])).toEqual([['a', 5]]);
      expect(Math.abs(entries[0]!.lastModifiedMs! - first.lastModifiedMs)).toBeLessThan(60_000);
    });

    check('listings: directories and objects in byte order, recursive or not', async () => {
      const keys = ['a', 'b/1', 'b/2/x', 'b/2/y', 'b-', 'b0', 'c/d/e/f', '\u{1F600}', '\uFFFD', 'Z', 'é/x y', 'p+q', 'h#?&%20'];
      for (const key of keys) await put(key);
      expect(await collect(bucket.iter(''))).toEqual(['Z', 'a', 'b-', 'b/', 'b0', 'c/', 'h#?&%20', 'p+q', 'é/', '\uFFFD', '\u{1F600}']);
      expect(await collect(bucket.iter('b'))).toEqual(['b/1', 'b/2/']);
      expect(await collect(bucket.iter('b/'))).toEqual(['b/1', 'b/2/']);
      expect(await collect(bucket.iter('b/2'))).toEqual(['b/2/x', 'b/2/y']);
      expect(await collect(bucket.iter('c', { recursive: true }))).toEqual(['c/d/e/f']);
      expect(await collect(bucket.iter('none'))).toEqual([]);
      expect(await collect(bucket.iter('a'))).toEqual([]);
      expect(await collect(bucket.iter('', { recursive: true }))).toEqual([...keys].sort(compareUtf8));
    });

    check('a listing can be left early', async () => {
      for (const key of ['x/1', 'x/2', 'y']) await put(key);
      for await (const name of bucket.iter('')) {
        expect(name).toBe('x/');
        break;
      }
      for await (const piece of bucket.stream('y')) {
        expect(text(piece)).toBe('y');
        break;
      }
    });

    check('ifNoneMatch: one creator wins', async () => {
      expect(await bucket.supportsConditionalWrites()).toBe(true);
      const tries = await Promise.allSettled(Array.from({ length: 6 }, (_, i) => bucket.upload('lease', Buffer.from(`holder ${i}`), { ifNoneMatch: '*' })));
      expect(tries.filter((t) => t.status === 'fulfilled')).toHaveLength(1);
      for (const t of tries) if (t.status === 'rejected') expect(code(t.reason)).toBe('ERR_PRECONDITION_FAILED');
      expect(text(await bucket.get('lease'))).toBe(`holder ${tries.findIndex((t) => t.status === 'fulfilled')}`);
    });

    check('ifMatch: a lost update is refused, a missing object too', async () => {
      const first = await put('counter', '1');
      const second = await bucket.upload('counter', Buffer.from('2'), { ifMatch: first });
      await expect(bucket.upload('counter', Buffer.from('3'), { ifMatch: first })).rejects.toMatchObject({ code: 'ERR_PRECONDITION_FAILED' });
      await bucket.upload('counter', Buffer.from('3'), { ifMatch: second });
      await expect(bucket.upload('gone', Buffer.from('x'), { ifMatch: first })).rejects.toMatchObject({ code: 'ERR_PRECONDITION_FAILED' });
      expect([text(await bucket.get('counter')), await bucket.exists('gone')]).toEqual(['3', false]);
    });

    check('ifMatch: concurrent increments lose none', async () => {
      await put('sum', '0');
      const increment = async (): Promise<void> => {
        for (;;) {
          const { etag } = await bucket.attributes('sum');
          const value = Number(text(await bucket.get('sum')));
          if ((await bucket.attributes('sum')).etag !== etag) continue;
          try {
            await bucket.upload('sum', Buffer.from(String(value + 1)), { ifMatch: etag });
            return;
          } catch (error) {
            if (code(error) !== 'ERR_PRECONDITION_FAILED') throw error;
          }
        }
      };
      await Promise.all(Array.from({ length: 5 }, increment));
      expect(text(await bucket.get('sum'))).toBe('5');
    });

    check('an aborted operation throws the reason', async () => {
      await put('k');
      const reason = new Error('enough');
      const signal = AbortSignal.abort(reason);
      await expect(bucket.get('k', { signal })).rejects.toBe(reason);
      await expect(bucket.getRange('k', 0, 1, { signal })).rejects.toBe(reason);
      await expect(bucket.exists('k', { signal })).rejects.toBe(reason);
      await expect(bucket.attributes('k', { signal })).rejects.toBe(reason);
      await expect(bucket.upload('k2', Buffer.from('x'), { signal })).rejects.toBe(reason);
      await expect(bucket.delete('k', { signal })).rejects.toBe(reason);
      await expect(collect(bucket.iter('', { signal }))).rejects.toBe(reason);
      expect(await collect(bucket.iter(''))).toEqual(['k']);
    });

    check('what the caller does with its arrays later changes nothing', async () => {
      const bytes = Buffer.from('mine');
      await put('own', bytes);
      bytes.fill(0);
      const got = await bucket.get('own');
      got.fill(0);
      expect(text(await bucket.get('own'))).toBe('mine');
    });

    check('any sequence of operations gives what the model gives', async () => {
      const key = fc.constantFrom('a', 'b', 'd/a', 'd/b', 'd/e/f', 'g/h');
      const step = fc.oneof(
        fc.record({ kind: fc.constant('upload' as const), key, value: fc.string({ maxLength: 5 }), isNew: fc.boolean() }),
        fc.record({ kind: fc.constant('delete' as const), key }),
        fc.record({ kind: fc.constant('get' as const), key }),
        fc.record({ kind: fc.constant('range' as const), key, offset: fc.nat(6), length: fc.integer({ min: -1, max: 6 }) }),
        fc.record({ kind: fc.constant('iter' as const), dir: fc.constantFrom('', 'd', 'd/e', 'x'), recursive: fc.boolean() }),
      );
      await fc.assert(fc.asyncProperty(fc.array(step, { maxLength: 15 }), async (steps) => {
        for (const k of await collect(bucket.iter('', { recursive: true }))) await bucket.delete(k);
        const model = createMemoryBucket();
        for (const s of steps) {
          const run = async (b: Bucket): Promise<unknown> => {
            try {
              switch (s.kind) {
                case 'upload': await b.upload(s.key, Buffer.from(s.value), s.isNew ? { ifNoneMatch: '*' } : {}); return 'done';
                case 'delete': await b.delete(s.key); return 'done';
                case 'get': return text(await b.get(s.key));
                case 'range': return text(await b.getRange(s.key, s.offset, s.length));
                case 'iter': return await collect(b.iter(s.dir, { recursive: s.recursive }));
              }
            } catch (error) {
              return code(error);
            }
          };
          const wanted = await run(model);
          // Zero bytes of anything are nothing, whether or not the object is that long.
          if (s.kind !== 'range' || s.length !== 0) expect(await run(bucket)).toEqual(wanted);
        }
        expect((await collect(bucket.iter('', { recursive: true })))).toEqual(model.keys());
      }), { numRuns: options.runs ?? 30 });
    });
  });
}
