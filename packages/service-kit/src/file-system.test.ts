import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { spawnSync } from 'node:child_process';
import { afterAll, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { createNodeFileSystem } from './file-system.ts';

const folder = mkdtempSync(join(tmpdir(), 'fs-'));
afterAll(() => rmSync(folder, { recursive: true }));
const fs = createNodeFileSystem();
const text = (value: string): Uint8Array => new TextEncoder().encode(value);
const code = (action: () => unknown): string | undefined => {
  try {
    action();
    return undefined;
  } catch (error) {
    return (error as { code?: string }).code;
  }
};

test('errors of an open file name it, as those of opening do', () => {
  const path = join(folder, 'named');
  writeFileSync(path, 'x');
  const reader = fs.open(path, 'read');
  expect(() => reader.append(text('y'))).toThrow(expect.objectContaining({ code: 'EBADF', path, message: `EBADF: bad file descriptor, write '${path}'` }));
  expect(() => reader.truncate(0)).toThrow(expect.objectContaining({ code: 'EINVAL', path, message: `EINVAL: invalid argument, ftruncate '${path}'` }));
  reader.close();
  expect(() => reader.read(new Uint8Array(1), 0)).toThrow(expect.objectContaining({ code: 'EBADF', message: `EBADF: bad file descriptor, read '${path}'` }));
  expect(() => reader.fsync()).toThrow(expect.objectContaining({ message: `EBADF: bad file descriptor, fsync '${path}'` }));
  const full = fs.open('/dev/full', 'modify');
  expect(() => full.write(text('y'), 0)).toThrow(expect.objectContaining({ code: 'ENOSPC', message: "ENOSPC: no space left on device, write '/dev/full'" }));
  full.close();
});

test('a file is written, appended, read anywhere, truncated and closed twice', () => {
  const path = join(folder, 'a');
  const file = fs.open(path, 'create-new');
  file.write(text('hello'), 0);
  file.append(text(' world'));
  file.write(text('!'), 13);
  expect(file.size()).toBe(14);
  const target = new Uint8Array(20);
  expect(file.read(target, 6)).toBe(8);
  expect(Buffer.from(target.subarray(0, 8)).toString('latin1')).toBe('world\0\0!');
  expect(file.read(target, 14)).toBe(0);
  expect(file.read(target, 99)).toBe(0);
  file.truncate(5);
  file.fsync();
  file.truncate(7);
  expect(file.size()).toBe(7);
  file.close();
  file.close();
  expect(readFileSync(path, 'latin1')).toBe('hello\0\0');
  expect(code(() => file.size())).toBe('EBADF');
});

test('modes', () => {
  const path = join(folder, 'modes');
  expect(code(() => fs.open(path, 'read'))).toBe('ENOENT');
  expect(code(() => fs.open(path, 'modify'))).toBe('ENOENT');
  fs.open(path, 'create').close();
  expect(code(() => fs.open(path, 'create-new'))).toBe('EEXIST');
  const file = fs.open(path, 'modify');
  file.append(text('kept'));
  file.close();
  const again = fs.open(path, 'modify');
  expect(again.size()).toBe(4);
  again.close();
  const reader = fs.open(path, 'read');
  expect(code(() => reader.append(text('x')))).toBe('EBADF');
  reader.close();
  fs.open(path, 'create').close();
  expect(fs.stat(path)!.bytes).toBe(0);
  expect(code(() => fs.open(folder, 'read'))).toBe('EISDIR');
});

test('folders: made with parents, listed in byte order, renamed over, removed with all they hold', () => {
  const root = join(folder, 'x', 'y');
  fs.mkdir(root);
  fs.mkdir(root);
  for (const name of ['b', 'a', 'é', '\u{10000}', '\uFFFD', 'Z']) writeFileSync(join(root, name), '');
  expect(fs.list(root)).toEqual(['Z', 'a', 'b', 'é', '\uFFFD', '\u{10000}']);
  expect(code(() => fs.list(join(folder, 'none')))).toBe('ENOENT');
  expect(fs.stat(root)).toMatchObject({ kind: 'directory', bytes: 0 });
  expect(fs.stat(join(folder, 'none'))).toBeUndefined();
  fs.mkdir(join(folder, 'empty'));
  fs.rename(root, join(folder, 'empty'));
  expect(fs.list(join(folder, 'empty'))).toHaveLength(6);
  writeFileSync(join(folder, 'file'), 'x');
  fs.rename(join(folder, 'empty'), join(folder, 'file'));
  expect(fs.stat(join(folder, 'file'))!.kind).toBe('directory');
  fs.fsyncDir(folder);
  fs.remove(join(folder, 'file'));
  fs.remove(join(folder, 'file'));
  expect(fs.stat(join(folder, 'file'))).toBeUndefined();
});

test('random writes read back as from an array', () => {
  const path = join(folder, 'random');
  fc.assert(
    fc.property(fc.array(fc.record({ offset: fc.nat(300), data: fc.uint8Array({ maxLength: 100 }) }), { maxLength: 20 }), (writes) => {
      const file = fs.open(path, 'create');
      let model = new Uint8Array(0);
      for (const { offset, data } of writes) {
        file.write(data, offset);
        if (data.length === 0) continue;
        const next = new Uint8Array(Math.max(model.length, offset + data.length));
        next.set(model);
        next.set(data, offset);
        model = next;
      }
      const found = new Uint8Array(file.size());
      file.read(found, 0);
      file.close();
      expect(found).toEqual(model);
    }),
    { numRuns: 50 },
  );
});

const hasFlock = spawnSync('flock', ['--version']).error === undefined;

describe.each(hasFlock ? (['flock', 'holder'] as const) : (['holder'] as const))('lock by %s', (lockBy) => {
  const locking = createNodeFileSystem({ lockBy });
  const path = join(folder, `lock-${lockBy}`);

  test('one holder at a time, in this process too', () => {
    const first = locking.lock(path)!;
    expect(first).toBeDefined();
    expect(locking.lock(path)).toBeUndefined();
    first.release();
    first.release();
    const second = locking.lock(path)!;
    expect(second).toBeDefined();
    second.release();
  });

  test('a file left by a holder that died does not count', () => {
    for (const left of ['', 'not a holder', '1 2 another-machine', `${process.pid} 1 ${readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim()}`, '999999999 5 machine']) {
      writeFileSync(path, left);
      const lock = locking.lock(path);
      expect({ left, lock }).toMatchObject({ lock: expect.anything() });
      lock!.release();
    }
  });
});
