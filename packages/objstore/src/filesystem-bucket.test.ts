/** The filesystem bucket meets the contract, is atomic, and keeps the layout of Thanos' provider. */
import { mkdir, mkdtemp, readFile, readdir, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, expect, test } from '@jest/globals';

import type { Bucket } from './bucket.ts';
import { FILESYSTEM_TMP_DIR, createFilesystemBucket } from './filesystem-bucket.ts';
import { describeBucketContract } from './testing/index.ts';

let root: string;
beforeAll(async () => { root = await mkdtemp(join(tmpdir(), 'gauntlet-fs-')); });
afterAll(async () => { await rm(root, { recursive: true }); });
let count = 0;
const fresh = (): string => join(root, `bucket-${count++}`);

describeBucketContract('filesystem', () => createFilesystemBucket({ directory: fresh() }));

async function names(bucket: Bucket, dir: string, recursive = false): Promise<string[]> {
  const all: string[] = [];
  for await (const name of bucket.iter(dir, { recursive })) all.push(name);
  return all;
}

test('objects are files of their name; nothing else is seen, and empty directories go', async () => {
  const directory = fresh();
  const bucket = await createFilesystemBucket({ directory });
  await bucket.upload('01HV/chunks/000001', Buffer.from('x'));
  expect(await readFile(join(directory, '01HV/chunks/000001'), 'utf8')).toBe('x');
  await mkdir(join(directory, 'empty/below'), { recursive: true });
  expect(await names(bucket, '')).toEqual(['01HV/']);
  await bucket.delete('01HV/chunks/000001');
  expect((await readdir(directory)).sort()).toEqual([FILESYSTEM_TMP_DIR, 'empty']);
  expect(await readdir(join(directory, FILESYSTEM_TMP_DIR))).toEqual([]);
});

test('a failing upload leaves the old object and no rest', async () => {
  const directory = fresh();
  const bucket = await createFilesystemBucket({ directory });
  await bucket.upload('k', Buffer.from('old'));
  async function* broken(): AsyncGenerator<Uint8Array> {
    yield Buffer.from('half');
    throw new Error('source broke');
  }
  await expect(bucket.upload('k', broken())).rejects.toThrow('source broke');
  await expect(bucket.upload('k', { path: join(directory, 'no such file') })).rejects.toMatchObject({ code: 'ERR_BUCKET_REFUSED' });
  expect(Buffer.from(await bucket.get('k')).toString()).toBe('old');
  expect(await readdir(join(directory, FILESYSTEM_TMP_DIR))).toEqual([]);
});

test('a name in the way of another is refused by name', async () => {
  const bucket = await createFilesystemBucket({ directory: fresh() });
  await bucket.upload('a', Buffer.from('x'));
  await bucket.upload('d/e', Buffer.from('x'));
  await expect(bucket.upload('a/b', Buffer.from('x'))).rejects.toMatchObject({ code: 'ERR_OBJECT_KEY', message: expect.stringContaining('a part of its path is an object') });
  await expect(bucket.upload('d', Buffer.from('x'))).rejects.toMatchObject({ code: 'ERR_OBJECT_KEY', message: expect.stringContaining('is a directory') });
  await expect(bucket.upload('x'.repeat(300), Buffer.from('x'))).rejects.toMatchObject({ code: 'ERR_OBJECT_KEY' });
});

test('unfinished uploads of a day ago are removed at start, fresh ones kept', async () => {
  const directory = fresh();
  const tmp = join(directory, FILESYSTEM_TMP_DIR);
  await mkdir(tmp, { recursive: true });
  await writeFile(join(tmp, 'old'), 'x');
  await writeFile(join(tmp, 'new'), 'x');
  await utimes(join(tmp, 'old'), 1, 1);
  await createFilesystemBucket({ directory });
  expect(await readdir(tmp)).toEqual(['new']);
});

test('the lock of a process that is gone does not block', async () => {
  const directory = fresh();
  const bucket = await createFilesystemBucket({ directory });
  const etag = await bucket.upload('k', Buffer.from('1'));
  const { createHash } = await import('node:crypto');
  await writeFile(join(directory, FILESYSTEM_TMP_DIR, `${createHash('sha256').update('k').digest('hex')}.lock`), '4194305');
  await bucket.upload('k', Buffer.from('2'), { ifMatch: etag });
  expect(Buffer.from(await bucket.get('k')).toString()).toBe('2');
});

test('symbolic links are followed, broken ones ignored', async () => {
  const directory = fresh();
  const bucket = await createFilesystemBucket({ directory });
  await bucket.upload('real/x', Buffer.from('x'));
  await symlink(join(directory, 'real'), join(directory, 'linked'));
  await symlink(join(directory, 'nowhere'), join(directory, 'broken'));
  expect(await names(bucket, '', true)).toEqual(['linked/x', 'real/x']);
});
