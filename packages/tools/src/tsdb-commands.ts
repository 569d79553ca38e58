/**
 * `tools tsdb …`: flags of the tools for local databases, those of `promtool tsdb` where promtool has the tool. The work is in the files that
 * tsdb-job.ts names, in a thread of its own.
 */
import { createReadStream, createWriteStream } from 'node:fs';
import { mkdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { parseMetricSelector, PromqlError } from '@gauntlet/promql';
import { boolFlag, durationFlag, enumFlag, type Flag, type FlagTable, intFlag, stringFlag, stringsFlag } from '@gauntlet/service-kit';
import { ToolsError } from './errors.ts';
import { defineTool, type Tool, type ToolDeps } from './tool.ts';
import { DUMP_FORMATS, type DumpJob } from './tsdb-dump.ts';
import { withFolder } from './verify/block-folder.ts';

/** Folder that is looked at when none is named, as in promtool. */
const DEFAULT_PATH = 'data/';
const DATABASE_ARGUMENT = { usage: '[<db path>]', min: 0, max: 1 } as const;

const readableFlag = boolFlag('human-readable', { short: 'r', help: 'Prints times and sizes for people.' });

/** Lists blocks. */
export const tsdbList: Tool = defineTool({
  words: ['tsdb', 'list'],
  help: `Lists the blocks of a database folder (${DEFAULT_PATH} when none is given).`,
  flags: { isReadable: readableFlag } satisfies FlagTable,
  arguments: DATABASE_ARGUMENT,
  run: ({ isReadable }, deps, [path = DEFAULT_PATH]) => deps.runTsdbJob({ kind: 'list', path, isReadable }, deps),
});

/** Which labels a block's series are made of. */
export const tsdbAnalyze: Tool = defineTool({
  words: ['tsdb', 'analyze'],
  help: `Says which label pairs, label names and metrics have most series in a block, and which come and go (churn). Without a block id: the block made last in the folder (${DEFAULT_PATH} when none is given).`,
  flags: {
    limit: intFlag('limit', { default: 20, min: 0, help: 'Entries of each list.' }),
    isExtended: boolFlag('extended', { help: 'Reads the chunks too, and says how full they are.' }),
    match: stringFlag('match', { placeholder: '<selector>', help: 'Only series that match, such as {job="node"}.' }),
  } satisfies FlagTable,
  arguments: { usage: '[<db path>] [<block id>]', min: 0, max: 2 },
  async run({ limit, isExtended, match }, deps, [path = DEFAULT_PATH, blockId = '']) {
    if (match !== '') checkSelector(match);
    await deps.runTsdbJob({ kind: 'analyze', path, blockId, limit, isExtended, match }, deps);
  },
});

const dumpFlags = {
  sandboxDirRoot: stringFlag('sandbox-dir-root', { placeholder: '<folder>', help: 'Folder for a temporary folder that replaying the log may need; without it the temporary directory (TMPDIR). The database is not changed.' }),
  mint: timeFlag('min-time', '-9223372036854775808', 'First time, Unix milliseconds.'),
  maxt: timeFlag('max-time', '9223372036854775807', 'Last time, Unix milliseconds, inclusive.'),
  match: stringsFlag('match', { placeholder: '<selector>', default: ["{__name__=~'(?s:.*)'}"], help: 'Series selector (repeated): series that match any of them.' }),
} satisfies FlagTable;

/** Prints samples or series. */
export const tsdbDump: Tool = defineTool({
  words: ['tsdb', 'dump'],
  help: `Prints the samples of a database folder (${DEFAULT_PATH} when none is given), those of its write-ahead log too; or only its series. The database may be in use.`,
  flags: { ...dumpFlags, format: enumFlag('format', DUMP_FORMATS, { default: 'prom', help: 'Format of the output: prom (samples) or seriesjson (labels alone).' }) } satisfies FlagTable,
  arguments: DATABASE_ARGUMENT,
  run: (values, deps, [path = DEFAULT_PATH]) => runDump(values, path, deps),
});

/** Prints samples as OpenMetrics. */
export const tsdbDumpOpenMetrics: Tool = defineTool({
  words: ['tsdb', 'dump-openmetrics'],
  help: `Prints the samples of a database folder (${DEFAULT_PATH} when none is given) as OpenMetrics text, which create-blocks-from openmetrics reads. Native histograms are left out, with what follows them in their series: the format has no place for them.`,
  flags: dumpFlags,
  arguments: DATABASE_ARGUMENT,
  run: (values, deps, [path = DEFAULT_PATH]) => runDump({ ...values, format: 'openmetrics' }, path, deps),
});

async function runDump(values: Pick<DumpJob, 'mint' | 'maxt' | 'match' | 'format'> & { readonly sandboxDirRoot: string }, path: string, deps: ToolDeps): Promise<void> {
  for (const selector of values.match) checkSelector(selector);
  const { mint, maxt, match, format } = values;
  await withFolder(values.sandboxDirRoot === '' ? deps.tmpDir : values.sandboxDirRoot, 'tsdb-sandbox', (sandboxDir) => deps.runTsdbJob({ kind: 'dump', path, sandboxDir, mint, maxt, match, format }, deps));
}

/** Text to blocks. */
export const tsdbCreateBlocksFromOpenMetrics: Tool = defineTool({
  words: ['tsdb', 'create-blocks-from', 'openmetrics'],
  help: `Makes blocks of the samples in an OpenMetrics file (- for standard input), each with its timestamp, in a folder (${DEFAULT_PATH} when none is given).`,
  flags: {
    isReadable: readableFlag,
    isQuiet: boolFlag('quiet', { short: 'q', help: 'Does not print the blocks made.' }),
    labels: pairsFlag('label', 'Label added to all series, in place of one of that name (repeated).'),
    blockDurationMaxMs: durationFlag('max-block-duration', { default: '2h', help: 'Longest range of a block: of 2h, 6h, 18h, 54h and so on the longest that is not longer.' }),
  } satisfies FlagTable,
  arguments: { usage: '<input file> [<output directory>]', min: 1, max: 2 },
  async run({ isReadable, isQuiet, labels, blockDurationMaxMs }, deps, [input, outDir = DEFAULT_PATH]) {
    await mkdir(outDir, { recursive: true });
    await withFolder(outDir, 'import.tmp', async (workDir) => {
      const file = await regularFile(input!, workDir, deps);
      await deps.runTsdbJob({ kind: 'import', file, outDir, workDir, labels, blockDurationMaxMs, isReadable, isQuiet }, deps);
    });
  },
});

/** The input itself, or a copy of one that can be read only once. */
async function regularFile(input: string, workDir: string, { signal }: ToolDeps): Promise<string> {
  const isStandardInput = input === '-';
  const found = isStandardInput ? undefined : await stat(input).catch((error: NodeJS.ErrnoException) => {
    throw new ToolsError('ERR_TSDB_IMPORT', `open ${input}: ${error.code === 'ENOENT' ? 'there is no such file' : error.message}`);
  });
  if (found?.isFile() === true || found?.isDirectory() === true) return input;
  const copy = join(workDir, 'input.om');
  await pipeline(isStandardInput ? process.stdin : createReadStream(input), createWriteStream(copy), { signal });
  return copy;
}

/** Is everything as it should be? */
export const tsdbVerify: Tool = defineTool({
  words: ['tsdb', 'verify'],
  help: `Reads every byte of the blocks of a database folder (${DEFAULT_PATH} when none is given), or of those named, and says what is wrong: checksums, order, ranges, counts, index against chunks. The write-ahead log is replayed beside it. Exit code 1 if anything is damaged.`,
  flags: { findingsMax: intFlag('findings', { default: 10, min: 1, help: 'Findings printed for each block.' }) } satisfies FlagTable,
  arguments: { usage: '[<db path>] [<block id> ...]', min: 0, max: 1000 },
  async run({ findingsMax }, deps, [path = DEFAULT_PATH, ...blockIds]) {
    await withFolder(deps.tmpDir, 'tsdb-sandbox', (sandboxDir) => deps.runTsdbJob({ kind: 'verify', path, blockIds, sandboxDir, findingsMax }, deps));
  },
});

/** Makes a sound block of a faulty one. */
export const tsdbRepair: Tool = defineTool({
  words: ['tsdb', 'repair'],
  help: 'Makes a new block of what can be kept of a faulty one, beside it, and says what was done. The faulty block stays as it is. One of which nothing is wrong is left alone. Exit code 1 if it cannot be repaired.',
  flags: {
    isDryRun: boolFlag('dry-run', { help: 'Says what would be done; the new block is made in the temporary directory (TMPDIR) and removed.' }),
    dropDamaged: boolFlag('drop-damaged', { help: 'Leaves out chunks and series that cannot be read, and names them. Without it a block that has any is not repaired.' }),
    outDir: stringFlag('output-dir', { placeholder: '<folder>', help: 'Folder for the new block; without it that of the old one.' }),
    removeOriginal: boolFlag('remove-original', { help: 'Removes the faulty block once the new one is there. No database may have it open.' }),
    findingsMax: intFlag('findings', { default: 10, min: 1, help: 'Findings, and changes, printed.' }),
  } satisfies FlagTable,
  arguments: { usage: '<block path>', min: 1, max: 1 },
  async run({ isDryRun, dropDamaged, outDir, removeOriginal, findingsMax }, deps, [path]) {
    if (isDryRun && removeOriginal) throw new ToolsError('ERR_TOOL_FLAGS', '--dry-run and --remove-original do not go together');
    const job = { kind: 'repair', path: path!, outDir, dropDamaged, removeOriginal, findingsMax } as const;
    if (!isDryRun) return deps.runTsdbJob({ ...job, sandboxDir: '' }, deps);
    await withFolder(deps.tmpDir, 'tsdb-sandbox', (sandboxDir) => deps.runTsdbJob({ ...job, sandboxDir }, deps));
  },
});

/** How fast is it? */
export const tsdbBenchWrite: Tool = defineTool({
  words: ['tsdb', 'bench', 'write'],
  help: 'Writes scrapes of many series into a new database, as fast as it takes them, and prints the rate. The file has one series per line, {"name":"value",…}; without it series are made up.',
  flags: {
    outDir: stringFlag('out', { default: 'benchout', help: 'Folder of the database; what an earlier run left there is removed.' }),
    metrics: intFlag('metrics', { default: 10_000, min: 1, help: 'Number of series.' }),
    scrapes: intFlag('scrapes', { default: 3000, min: 1, help: 'Number of scrapes, 30 s apart, in hundreds.' }),
  } satisfies FlagTable,
  arguments: { usage: '[<file>]', min: 0, max: 1 },
  run: ({ outDir, metrics, scrapes }, deps, [seriesFile = '']) => deps.runTsdbJob({ kind: 'bench-write', outDir, metrics, scrapes, seriesFile }, deps),
});

/** All of them, in the order help shows them. */
export const TSDB_TOOLS: readonly Tool[] = [tsdbAnalyze, tsdbList, tsdbDump, tsdbDumpOpenMetrics, tsdbCreateBlocksFromOpenMetrics, tsdbVerify, tsdbRepair, tsdbBenchWrite];

/** Says what is wrong with a selector before anything is opened. @throws ToolsError ERR_PROMQL */
function checkSelector(text: string): void {
  try {
    parseMetricSelector(text);
  } catch (error) {
    if (!(error instanceof PromqlError)) throw error;
    throw new ToolsError('ERR_PROMQL', `flag --match: ${text}: ${error.message}`, error);
  }
}

/** Unix milliseconds as a 64-bit integer, of which only what a double holds exactly can be a sample's. */
function timeFlag(name: string, defaultText: string, help: string): Flag<number> {
  const flag = stringFlag(name, { default: defaultText, help });
  return {
    ...flag,
    quoteDefault: false,
    read(texts) {
      const text = texts.at(-1) ?? defaultText;
      if (!/^[+-]?\d+$/.test(text)) throw new Error(`wanted an integer, got '${text}'`);
      return Math.max(Number.MIN_SAFE_INTEGER, Math.min(Number.MAX_SAFE_INTEGER, Number(text)));
    },
  };
}

/** Repeated `name=value`, as promtool has it: no quotes. */
function pairsFlag(name: string, help: string): Flag<readonly (readonly [name: string, value: string])[]> {
  const flag = stringsFlag(name, { placeholder: '<name>=<value>', help });
  return {
    ...flag,
    read: (texts) =>
      texts.map((text) => {
        const equals = text.indexOf('=');
        if (equals < 1) throw new Error(`expected NAME=VALUE, got '${text}'`);
        return [text.slice(0, equals), text.slice(equals + 1)] as const;
      }),
  };
}
