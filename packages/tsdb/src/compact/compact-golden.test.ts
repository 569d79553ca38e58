/**
 * Compactions recorded from Thanos 0.43 and Prometheus 3.14: the same inputs must give the same files. Some are in testdata/compact,
 * all of the golden data folder are compared where it is there (GAUNTLET_SHARED).
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from '@jest/globals';
import { createKernels } from '@gauntlet/kernels';
import { type Block, openBlock } from '../block/block-reader.ts';
import { createMemoryFileSystem, type MemoryFileSystem } from '../testing/memory-file-system.ts';
import { compactBlocks } from './compact-blocks.ts';
import { verifyCompaction } from './verify-compaction.ts';

const here = dirname(fileURLToPath(import.meta.url));
const kernels = createKernels();

interface Step {
  readonly name: string;
  readonly kind: string;
  readonly in: readonly { readonly id: string; readonly at: string }[];
  readonly out: { readonly id: string; readonly at: string };
}

function seed(fs: MemoryFileSystem, from: string, to: string): void {
  for (const entry of readdirSync(from, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    fs.seed(`${to}${path.slice(from.length)}`, readFileSync(path));
  }
}

/** Index and chunk files of a block, as hex in lines. */
function filesOf(fs: MemoryFileSystem, dir: string): Record<string, string[]> {
  const files: Record<string, string[]> = {};
  for (const [path, bytes] of fs.snapshot()) {
    const name = path.slice(dir.length + 1);
    if (path.startsWith(`${dir}/`) && (name === 'index' || name.startsWith('chunks/'))) files[name] = Buffer.from(bytes).toString('hex').match(/.{1,32}/g) ?? [];
  }
  return files;
}

/** What both metas must agree in: everything but the name and the `thanos` section. */
function comparable(meta: Block['meta']): unknown {
  return { ...meta, ulid: '', thanos: undefined };
}

function recordedSteps(root: string): Step[] {
  const kinds = ['compaction', 'overlapping compaction, no dedup function'];
  return (JSON.parse(readFileSync(join(root, 'steps.json'), 'utf8')) as Step[]).filter(({ kind }) => kinds.includes(kind));
}

function describeSteps(root: string, steps: readonly Step[]): void {
  const load = (step: Step): { fs: MemoryFileSystem; inputs: Block[]; recorded: Block } => {
    const fs = createMemoryFileSystem();
    for (const { id, at } of step.in) seed(fs, join(root, at), `in/${id}`);
    seed(fs, join(root, step.out.at), `recorded/${step.out.id}`);
    return { fs, inputs: step.in.map(({ id }) => openBlock(fs, `in/${id}`)), recorded: openBlock(fs, `recorded/${step.out.id}`) };
  };

  test('there are steps', () => expect(steps.length).toBeGreaterThan(1));

  test.each(steps)('$name: index, chunks and meta as recorded, byte for byte', (step) => {
    const { fs, inputs, recorded } = load(step);
    const meta = compactBlocks({ fs, kernels }, inputs, 'out', { ulid: step.out.id });
    expect(comparable(meta!)).toEqual(comparable(recorded.meta));
    expect(filesOf(fs, `out/${step.out.id}`)).toEqual(filesOf(fs, `recorded/${step.out.id}`));
    verifyCompaction({ fs, kernels }, inputs, recorded);
  });

}

/** Compactions that a server did by itself: what went in is among the blocks that it started with. */
function localSteps(root: string): Step[] {
  return ['leveled', 'out-of-order'].flatMap((set) => {
    const from = join(root, set);
    const to = join(root, `${set}-compacted`);
    return readdirSync(to, { withFileTypes: true })
      .filter((entry) => entry.isDirectory() && !existsSync(join(from, entry.name)))
      .map(({ name }): Step => {
        const { parents } = (JSON.parse(readFileSync(join(to, name, 'meta.json'), 'utf8')) as Block['meta']).compaction;
        return { name: `${set} → ${name}`, kind: 'compaction', in: parents!.map(({ ulid }) => ({ id: ulid, at: join(set, ulid) })), out: { id: name, at: join(`${set}-compacted`, name) } };
      })
      .filter((step) => step.in.every(({ at }) => existsSync(join(root, at))));
  });
}

const golden = join(process.env['GAUNTLET_SHARED'] ?? resolve(here, '../../../../../shared'), 'golden');
for (const { name, root, stepsOf } of [
  { name: 'testdata', root: join(here, '../../testdata/compact'), stepsOf: recordedSteps },
  { name: 'golden buckets (skipped without the folder)', root: join(golden, 'bucket'), stepsOf: recordedSteps },
  { name: 'golden data directories (skipped without the folder)', root: join(golden, 'tsdb'), stepsOf: localSteps },
]) {
  if (existsSync(root)) describe(name, () => describeSteps(root, stepsOf(root)));
  else describe.skip(name, () => test('there is no such folder', () => expect(existsSync(root)).toBe(true)));
}
