/** `tools bucket ls` and `inspect` over a recorded bucket: what the thanos binary printed. With the recorded set, over all of its buckets. */
import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { goldenFolder } from '@gauntlet/block/testing';
import { createFilesystemBucket, createMemoryBucket } from '@gauntlet/objstore';
import { runWith, type ToolRun } from './testing/tool-run.ts';

const TESTDATA = resolve(import.meta.dirname, '../testdata');
const TEMPLATE = '{{.ULID}} {{.MinTime}} {{.Thanos.Downsample.Resolution}}';
const golden = goldenFolder();
const cases = [{ name: 'marked blocks', bucket: join(TESTDATA, 'bucket'), expected: join(TESTDATA, 'expected') }];
if (golden !== undefined) for (const name of ['plain', 'vertical', 'penalty', 'marked']) cases.push({ name: `recorded ${name}`, bucket: join(golden, 'bucket', name), expected: join(golden, 'bucket/tools', name) });

const sortLines = (text: string): string => text.split('\n').sort().join('\n');
const run = async (dir: string, argv: readonly string[]): Promise<ToolRun> => runWith([await createFilesystemBucket({ directory: dir })], ['bucket', ...argv]);

describe.each(cases)('$name', ({ bucket, expected }) => {
  test.each<{ argv: string[]; file: string; isUnsorted: boolean }>([
    { argv: ['ls'], file: 'ls.txt', isUnsorted: true },
    { argv: ['ls', '-o', 'wide'], file: 'ls-wide.txt', isUnsorted: true },
    { argv: ['ls', '--output=json'], file: 'ls.json.txt', isUnsorted: true },
    { argv: ['ls', `-o${TEMPLATE}`], file: 'ls-template.txt', isUnsorted: true },
    { argv: ['ls', '--exclude-delete'], file: 'ls-exclude-delete.txt', isUnsorted: true },
    { argv: ['inspect'], file: 'inspect.txt', isUnsorted: false },
    { argv: ['inspect', '--output=csv'], file: 'inspect.csv', isUnsorted: false },
    { argv: ['inspect', '--output=tsv', '--sort-by=FROM', '--sort-by=UNTIL'], file: 'inspect.tsv', isUnsorted: false },
    { argv: ['inspect', '--output=csv', '-l', 'replica="a"'], file: 'inspect-selector.csv', isUnsorted: false },
  ])('$argv', async ({ argv, file, isUnsorted }) => {
    expect(existsSync(join(expected, file))).toBe(true);
    const wanted = readFileSync(join(expected, file), 'utf8');
    const { code, out } = await run(bucket, argv);
    expect(code).toBe(0);
    if (!isUnsorted) expect(out).toBe(wanted);
    else expect(sortLines(out)).toBe(sortLines(wanted));
  });
});

const dir = join(TESTDATA, 'bucket');
const IDS = ['01M7YH8MWRAHCY0QHCESGFVHVY', '01M7YH8MX7YBJPAZEJM8D3WZNT', '01M7YH8MXMNKZM4QJSBS6AGBZJ', '01M7YH8MXYT3PGHCNEBS5FYSV5', '01M7YH8MYDW32YG9ZHS4CYNT7W', '01M7YH8MYVHEYD05YYBPP0J4FM'];
const lines = (text: string): string[] => text.split('\n').filter((line) => line !== '');

describe('ls', () => {
  test('is sorted by id, and counts', async () => {
    const { out, log } = await run(dir, ['ls']);
    expect(lines(out)).toEqual(IDS);
    expect(log).toContainEqual(expect.objectContaining({ msg: 'ls done', objects: 6 }));
  });

  test('by time: blocks that share a millisecond with the range', async () => {
    expect(lines((await run(dir, ['ls', '--min-time=2026-04-13T08:00:00Z', '--max-time=2026-04-13T10:00:00Z'])).out)).toEqual([IDS[1], IDS[2]]);
    expect(lines((await run(dir, ['ls', '--min-time=2026-04-13T16:00:00.001Z'])).out)).toEqual([]);
  });

  test('by labels and by id', async () => {
    const selector = (yaml: string): Promise<ToolRun> => run(dir, ['ls', `--selector.relabel-config=${yaml}`]);
    expect(lines((await selector('[{action: drop, source_labels: [replica], regex: a}]')).out)).toEqual([]);
    expect(lines((await selector(`[{action: keep, source_labels: [__block_id], regex: ${IDS[3]}}]`)).out)).toEqual([IDS[3]]);
    expect(await selector('[{action: replace}]')).toMatchObject({ code: 1, out: '' });
  });

  test('a template that cannot be used is refused before the bucket is opened', async () => {
    const { code, out, log } = await runWith([], ['bucket', 'ls', '--objstore.config=x', '-o', '{{.Nope}}']);
    expect([code, out]).toEqual([1, '']);
    expect(log).toEqual([expect.objectContaining({ level: 'error', msg: 'tools bucket ls failed', err: expect.stringContaining('no field Nope in .') })]);
  });

  test('a meta.json that cannot be read makes it fail, rather than print the others', async () => {
    const bucket = await createFilesystemBucket({ directory: dir });
    const broken = Object.assign(Object.create(bucket) as typeof bucket, { get: (key: string) => (key.startsWith(IDS[2]!) ? Promise.reject(new Error('disk on fire')) : bucket.get(key)) });
    const { code, out, log } = await runWith([broken], ['bucket', 'ls']);
    expect([code, out]).toEqual([1, '']);
    expect(log.at(-1)).toMatchObject({ level: 'error', err: expect.stringContaining('1 meta.json could not be read: disk on fire') });
  });

  test('a time limit ends it', async () => {
    const bucket = createMemoryBucket();
    const slow = Object.assign(Object.create(bucket) as typeof bucket, {
      async *iter(_: string, options: { signal: AbortSignal }): AsyncGenerator<string> {
        await new Promise((_resolve, reject) => { options.signal.addEventListener('abort', () => reject(options.signal.reason as Error)); });
        yield '';
      },
    });
    const { code, log } = await runWith([slow], ['bucket', 'ls', '--timeout=1ms']);
    expect([code, log.at(-1)]).toEqual([1, expect.objectContaining({ err: 'it took longer than 1ms (--timeout)' })]);
    expect(log.map(({ msg }) => msg)).toContain('timeouts below 1m can fail for the size of the bucket alone');
  });

  test('an empty bucket', async () => {
    expect(await runWith([createMemoryBucket()], ['bucket', 'ls'])).toMatchObject({ code: 0, out: '' });
    expect((await runWith([createMemoryBucket()], ['bucket', 'inspect'])).out).toMatch(/^\| ULID \| FROM \|.*\n\|------\|------\|.*\n$/);
  });
});

describe('inspect', () => {
  test('sorts by any column, then by the next', async () => {
    const { out } = await run(dir, ['inspect', '--output=csv', '--sort-by=#SAMPLES', '--sort-by=ULID']);
    expect(lines(out).slice(1).map((line) => line.split(',')[0])).toEqual([IDS[4], IDS[3], IDS[0], IDS[2], IDS[5], IDS[1]]);
  });

  test('labels that do not match leave nothing but the header', async () => {
    expect(lines((await run(dir, ['inspect', '--output=tsv', '-l', 'replica="a"', '--selector=cluster="us"'])).out)).toHaveLength(1);
  });

  test.each([
    [['--sort-by=SIZE'], 'enum value must be one of ULID'],
    [['--output=yaml'], "enum value must be one of table,tsv,csv, got 'yaml'"],
    [['-l', 'a=b'], 'wanted "value" in quotes'],
  ])('%j is refused', async (argv, text) => {
    const written: string[] = [];
    const before = process.stderr.write.bind(process.stderr);
    process.stderr.write = ((chunk: string) => written.push(chunk) > 0) as typeof process.stderr.write;
    try {
      expect((await run(dir, ['inspect', ...argv])).code).toBe(1);
    } finally {
      process.stderr.write = before;
    }
    expect(written.join('')).toContain(text);
  });
});
