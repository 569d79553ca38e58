/** `tools bucket mark`: marks byte for byte as Thanos wrote them, apart from the time. */
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { beforeEach, describe, expect, test } from '@jest/globals';
import { createMemoryBucket, type MemoryBucket } from '@gauntlet/objstore';
import { runWith, type ToolRun } from './testing/tool-run.ts';

const MARKED = resolve(import.meta.dirname, '../testdata/bucket');
const [A, B, C] = ['01M7YH8MWRAHCY0QHCESGFVHVY', '01M7YH8MX7YBJPAZEJM8D3WZNT', '01M7YH8MXMNKZM4QJSBS6AGBZJ'];
const NOW_MS = 1_795_247_377_999;

let bucket: MemoryBucket;
beforeEach(async () => {
  bucket = createMemoryBucket();
  for (const id of [A, B, C]) await bucket.upload(`${id}/meta.json`, new Uint8Array([1]));
});
const mark = (...argv: string[]): Promise<ToolRun> => runWith([bucket], ['bucket', 'mark', ...argv], { clock: () => NOW_MS });
const text = async (key: string): Promise<string> => new TextDecoder().decode(await bucket.get(key));

test.each<{ id: string; file: string; details: string }>([
  { id: A!, file: 'deletion-mark.json', details: 'not wanted any more' },
  { id: B!, file: 'no-compact-mark.json', details: 'quotes " and <html> & ünïcode' },
  { id: C!, file: 'no-downsample-mark.json', details: 'keep raw' },
])('$file', async ({ id, file, details }) => {
  const { code, log } = await mark(`--id=${id}`, `--marker=${file}`, `--details=${details}`);
  expect(code).toBe(0);
  expect(await text(`${id}/${file}`)).toBe(readFileSync(join(MARKED, id, file), 'utf8'));
  expect(log).toContainEqual(expect.objectContaining({ msg: 'marking done', marker: file, ids: id }));
});

test('several blocks at once', async () => {
  expect((await mark('--id', A!, '--id', B!, '--marker=deletion-mark.json', '--details=both')).code).toBe(0);
  for (const id of [A, B]) expect(JSON.parse(await text(`${id}/deletion-mark.json`))).toEqual({ id, version: 1, details: 'both', deletion_time: 1_795_247_377 });
});

test('a mark that is there stays, for its time counts', async () => {
  await mark(`--id=${A}`, '--marker=deletion-mark.json', '--details=first');
  const before = await text(`${A}/deletion-mark.json`);
  const { code, log } = await mark(`--id=${A}`, '--marker=deletion-mark.json', '--details=second');
  expect([code, await text(`${A}/deletion-mark.json`)]).toEqual([0, before]);
  expect(log).toContainEqual(expect.objectContaining({ level: 'warn', msg: 'requested to mark a block that is marked already' }));
});

test('removal, which can be repeated and needs no details', async () => {
  await mark(`--id=${A}`, '--marker=no-compact-mark.json', '--details=x');
  expect((await mark(`--id=${A}`, '--marker=no-compact-mark.json', '--remove')).code).toBe(0);
  expect(await bucket.exists(`${A}/no-compact-mark.json`)).toBe(false);
  const again = await mark(`--id=${A}`, '--marker=no-compact-mark.json', '--remove');
  expect(again.code).toBe(0);
  expect(again.log).toContainEqual(expect.objectContaining({ level: 'warn', msg: 'requested to remove a mark that is not there' }));
});

describe('refused', () => {
  test.each<{ name: string; argv: string[]; err: string }>([
    { name: 'no details', argv: [`--id=${A}`, '--marker=deletion-mark.json'], err: 'required flag --details not provided' },
    { name: 'empty details', argv: [`--id=${A}`, '--marker=deletion-mark.json', '--details='], err: 'required flag --details not provided' },
    { name: 'an id that is none', argv: ['--id=../x', '--marker=deletion-mark.json', '--details=x'], err: '--id: not a valid ULID: "../x"' },
    { name: 'one good id and a path behind it', argv: [`--id=x/${A}`, '--marker=deletion-mark.json', '--details=x'], err: `--id: not a valid ULID: "x/${A}"` },
    { name: 'a block that is not there', argv: ['--id=01M7YH8MXYT3PGHCNEBS5FYSV5', '--marker=deletion-mark.json', '--details=x'], err: 'mark block 01M7YH8MXYT3PGHCNEBS5FYSV5: there is no such block in bucket ' },
  ])('$name', async ({ argv, err }) => {
    const { code, log } = await mark(...argv);
    expect(code).toBe(1);
    expect(log.at(-1)).toMatchObject({ level: 'error', msg: 'tools bucket mark failed', err: expect.stringContaining(err) });
    expect([...(await names())].filter((name) => name.includes('mark'))).toEqual([]);
  });
});

async function names(): Promise<string[]> {
  const found: string[] = [];
  for await (const name of bucket.iter('', { recursive: true })) found.push(name);
  return found;
}
