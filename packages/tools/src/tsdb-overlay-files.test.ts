/** The overlay answers like the folder it covers would after the same operations, and the folder stays as it was. */
import { describe, expect, test } from '@jest/globals';
import { createMemoryFileSystem } from '@gauntlet/tsdb/testing';
import { type FileSystem, joinPath, readFile } from '@gauntlet/tsdb';
import fc from 'fast-check';
import { OverlayFiles } from './tsdb-overlay-files.ts';

const encoder = new TextEncoder();
const decoder = new TextDecoder();
const write = (fs: FileSystem, path: string, text: string): void => {
  const file = fs.open(path, 'create');
  file.append(encoder.encode(text));
  file.close();
};
const tree = (fs: FileSystem, path: string): unknown => (fs.stat(path)?.kind === 'directory' ? Object.fromEntries(fs.list(path).map((name) => [name, tree(fs, joinPath(path, name))])) : decoder.decode(readFile(fs, path)));
const filled = (): FileSystem => {
  const fs = createMemoryFileSystem();
  fs.mkdir('/db/wal');
  fs.mkdir('/db/old');
  for (const name of ['a', 'wal/0', 'wal/1', 'old/x', 'old/y']) write(fs, `/db/${name}`, `text of ${name}`);
  return fs;
};

type Operation = readonly ['write' | 'append' | 'remove' | 'mkdir' | 'create-new', string] | readonly ['rename', string, string];
const paths = ['a', 'b', 'wal/0', 'wal/1', 'wal/2', 'old/x', 'new/z'];
const operation: fc.Arbitrary<Operation> = fc.oneof(
  fc.tuple(fc.constantFrom('write' as const, 'append' as const, 'remove' as const, 'create-new' as const), fc.constantFrom(...paths)),
  fc.tuple(fc.constantFrom('remove' as const, 'mkdir' as const), fc.constantFrom('wal', 'old', 'new')),
  fc.tuple(fc.constant('rename' as const), fc.constantFrom(...paths, 'old'), fc.constantFrom('b', 'wal/9', 'new/q')).filter(([, from, to]) => from !== to),
);

function apply(fs: FileSystem, [what, name, to]: Operation): string {
  const path = `/db/${name}`;
  try {
    if (what === 'write') write(fs, path, 'written');
    else if (what === 'append') {
      const file = fs.open(path, 'modify');
      file.append(encoder.encode('+'));
      file.close();
    } else if (what === 'create-new') fs.open(path, 'create-new').close();
    else if (what === 'remove') fs.remove(path);
    else if (what === 'mkdir') fs.mkdir(path);
    else fs.rename(path, `/db/${to}`);
    return 'done';
  } catch (error) {
    return String((error as { code?: string }).code);
  }
}

describe('an overlay', () => {
  test('shows what the folder would be, and leaves it alone', () => {
    fc.assert(
      fc.property(fc.array(operation, { maxLength: 12 }), (operations) => {
        const plain = filled();
        const lower = filled();
        lower.mkdir('/upper');
        const overlay = new OverlayFiles(lower, '/db', '/upper');
        for (const one of operations) {
          // Making parents of files is the caller's; the overlay makes them by itself.
          if (one[0] !== 'remove' && one[0] !== 'mkdir') for (const fs of [plain, overlay]) fs.mkdir(parentOf(`/db/${one[2] ?? one[1]}`));
          const [wanted, got] = [apply(plain, one), apply(overlay, one)];
          expect(got === 'done').toBe(wanted === 'done');
          if (wanted !== 'done') return;
        }
        expect(tree(overlay, '/db')).toEqual(tree(plain, '/db'));
        expect(tree(lower, '/db')).toEqual(tree(filled(), '/db'));
      }),
      { numRuns: Number(process.env['GAUNTLET_OVERLAY_RUNS'] ?? 300) },
    );
  });

  test('locks are granted, whoever has them', () => expect(new OverlayFiles(filled(), '/db', '/upper').lock()).toHaveProperty('release'));
});

function parentOf(path: string): string {
  return path.slice(0, path.lastIndexOf('/'));
}
