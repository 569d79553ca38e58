/** Compactions in real worker threads: what comes back, cancellation, errors that keep their codes. Needs the built package. */
import { cpSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { createNopLogger } from '@gauntlet/service-kit';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { type CompactRunner, createCompactRunner, createInlineRunner } from './compact-runner.ts';
import type { CompactProgress, CompactTask } from './compact-task.ts';
import { BLOCKS, createTestDir, removeTestDirs, REPLICA_A } from './testing/compactor-kit.ts';

const MODULE = new URL(`file://${resolve(import.meta.dirname, '../dist/compact-worker.js')}`);
const OUTPUT = '01ARZ3NDEKTSV4RRFFQ69G5FAV';
const signal = new AbortController().signal;

function taskOf(count: number): CompactTask {
  const dir = createTestDir();
  const inputs = REPLICA_A.slice(0, count);
  for (const id of inputs) cpSync(join(BLOCKS, id), join(dir, id), { recursive: true });
  return { dir, inputs, outputId: OUTPUT, acceptMalformedIndex: false, memoryBytesMax: 64 * 1024 * 1024 };
}

const runners: [string, () => CompactRunner][] = [['in this thread', createInlineRunner]];
if (existsSync(MODULE)) runners.push(['in a worker', () => createCompactRunner(createNopLogger(), MODULE, 1)]);
else test.skip('in a worker: the package is not built', () => undefined);

describe.each(runners)('%s', (_name, create) => {
  let runner: CompactRunner;
  beforeAll(() => {
    runner = create();
  });
  afterEach(removeTestDirs);
  afterAll(() => runner.close());

  test('a block comes out, verified, with progress on the way', async () => {
    const task = taskOf(4);
    const seen: CompactProgress[] = [];
    const outcome = await runner.run(task, signal, (progress) => seen.push(progress));
    expect(outcome).toMatchObject({ kind: 'block', meta: { ulid: OUTPUT, stats: { numSamples: 4329, numSeries: 14, numChunks: 56 }, compaction: { level: 2, sources: REPLICA_A.slice(0, 4) } }, chunkMaxBytes: expect.any(Number) });
    expect(seen.map(({ phase }) => phase)).toEqual(expect.arrayContaining(['check', 'verify']));
    expect(existsSync(join(task.dir, OUTPUT, 'meta.json'))).toBe(true);
    expect(existsSync(join(task.dir, OUTPUT, 'tombstones'))).toBe(false);
  });
  test('what an earlier attempt left under the name is replaced', async () => {
    const task = taskOf(2);
    cpSync(join(task.dir, task.inputs[0]!), join(task.dir, OUTPUT), { recursive: true });
    expect(await runner.run(task, signal, () => undefined)).toMatchObject({ kind: 'block', meta: { stats: { numSamples: 2165 } } });
  });
  test('damage keeps its code and names the block; nothing is left', async () => {
    const task = taskOf(3);
    const segment = join(task.dir, task.inputs[1]!, 'chunks/000001');
    const bytes = readFileSync(segment);
    bytes.writeUInt8(bytes.readUInt8(500) ^ 1, 500);
    writeFileSync(segment, bytes);
    const error = await runner.run(task, signal, () => undefined).catch((e: unknown) => e as { code: string; task?: { code: string }; message: string });
    expect(error).toMatchObject({ message: expect.stringContaining(task.inputs[1]!) });
    expect('task' in error && error.task !== undefined ? error.task.code : (error as { code: string }).code).toBe('ERR_CHUNK_CORRUPT');
    expect(existsSync(join(task.dir, OUTPUT))).toBe(false);
  });
  test('an input whose meta.json claims less time than its chunks have is not fit', async () => {
    const task = taskOf(2);
    const path = join(task.dir, task.inputs[0]!, 'meta.json');
    writeFileSync(path, readFileSync(path, 'utf8').replace(/"maxTime": \d+/, '"maxTime": 1776010000000'));
    expect(await runner.run(task, signal, () => undefined)).toMatchObject({ kind: 'unhealthy', block: task.inputs[0], issue: 'critical', message: expect.stringContaining('outside the block time range') });
    expect(existsSync(join(task.dir, OUTPUT))).toBe(false);
  });
  test('past its memory it is refused, with what for; nothing is left', async () => {
    const task = { ...taskOf(4), memoryBytesMax: 300_000 };
    const error = await runner.run(task, signal, () => undefined).catch((e: unknown) => e as { code: string; task?: { code: string }; message: string });
    expect(error).toMatchObject({ message: expect.stringMatching(/compact into block .*: \d+ bytes for reading ahead .*: the limit is 300000 bytes of memory/) });
    expect(existsSync(join(task.dir, OUTPUT))).toBe(false);
  });
  test('a missing input', async () => {
    const task = taskOf(2);
    rmSync(join(task.dir, task.inputs[0]!, 'index'));
    await expect(runner.run(task, signal, () => undefined)).rejects.toThrow(`open block ${task.inputs[0]}: index is missing`);
  });
  test('cancelled before it begins', async () => {
    const reason = new Error('enough');
    await expect(runner.run(taskOf(2), AbortSignal.abort(reason), () => undefined)).rejects.toBe(reason);
  });
});
