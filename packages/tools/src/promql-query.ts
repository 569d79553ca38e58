/**
 * `tools promql query instant` and `range`: a query against a Prometheus or querier, or evaluated here over blocks.
 *
 *   --url ────────────────► HTTP API ────────────────────────────────────┐
 *   --block-dir ─────────┬─► promql-evaluate, in a thread of its own ─────┴─► lines or JSON
 *   --objstore.config ───┘   (blocks downloaded when wanted)
 */
import { createPrometheusClient } from '@gauntlet/http-api';
import { ModelError, parseTimestamp } from '@gauntlet/model';
import { boolFlag, bytesFlag, durationFlag, enumFlag, type Flag, type FlagTable, type FlagValues, intFlag, labelsFlag, objstoreFlag, stringFlag, stringsFlag } from '@gauntlet/service-kit';
import { withTimeout } from './bucket-blocks.ts';
import { ToolsError } from './errors.ts';
import type { QueryJob, QueryTimes } from './promql-evaluate.ts';
import { EXPRESSION_ARGUMENT, featureFlag, parseOrExplain, parserOptionsOf, readExpression } from './promql-expression.ts';
import { ANSWER_FORMATS, printAnswer } from './promql-print.ts';
import { defineTool, type Tool, type ToolDeps } from './tool.ts';
import { withFolder } from './verify/block-folder.ts';

/** A switch that may also be left to the server. */
function serverSwitch(name: string, help: string): Flag<boolean | undefined> {
  const flag = boolFlag(name, { help });
  return { ...flag, defaultText: undefined, read: (texts, fileTexts) => (texts.length === 0 ? undefined : flag.read(texts, fileTexts)) };
}

/** Flags of a tool that evaluates over blocks. */
export type BlockFlags = {
  readonly blockDirs: Flag<readonly string[]>;
  readonly objstoreConfig: ReturnType<typeof objstoreFlag>;
  readonly selector: ReturnType<typeof labelsFlag>;
  readonly maxMemoryBytes: Flag<number>;
  readonly maxDownloadBytes: Flag<number>;
  readonly lookbackDeltaMs: Flag<number>;
  readonly samplesMax: Flag<number>;
  readonly features: typeof featureFlag;
  readonly timeoutMs: Flag<number>;
};

/** Blocks to evaluate over, and limits of the evaluation. */
export const blockFlags: BlockFlags = {
  blockDirs: stringsFlag('block-dir', { placeholder: '<folder>', help: 'Block, or folder with blocks such as the data folder of a Prometheus, to evaluate over (repeated). The write-ahead log is not read.' }),
  objstoreConfig: objstoreFlag(false),
  selector: labelsFlag('selector', { short: 'l', help: 'Only blocks with this external label; given several times, with all of them.' }),
  maxMemoryBytes: bytesFlag('max-memory', { default: '1GiB', help: 'Most memory of an evaluation over blocks: columns, indexes and kernels. An expression that wants more fails.' }),
  maxDownloadBytes: bytesFlag('max-download', { default: '10GiB', help: 'Most that is downloaded from a bucket, into the temporary directory (TMPDIR), for one evaluation.' }),
  lookbackDeltaMs: durationFlag('query.lookback-delta', { default: '5m', help: 'How old a sample may be that a selector takes, in an evaluation over blocks.' }),
  samplesMax: intFlag('query.max-samples', { default: 50_000_000, min: 1, help: 'Most samples that an evaluation over blocks holds at once.' }),
  features: featureFlag,
  timeoutMs: durationFlag('timeout', { default: '5m', help: 'Time limit for the whole, downloads included.' }),
};

const sourceFlags = {
  url: stringFlag('url', { placeholder: '<url>', help: 'Prometheus or querier to ask, such as http://127.0.0.1:10902; with a path if it has a prefix.' }),
  headers: stringsFlag('header', { placeholder: '<name>=<value>', help: 'Header sent to --url (repeated), such as THANOS-TENANT=team-a.' }),
  dedup: serverSwitch('dedup', 'Whether a querier unites replicas; without the flag the server decides.'),
  partialResponse: serverSwitch('partial-response', 'Whether a querier may leave out stores that do not answer; without the flag the server decides.'),
  ...blockFlags,
  output: enumFlag('output', ANSWER_FORMATS, { short: 'o', default: 'promql', help: 'Format of the output: promql (lines) or json, both as promtool prints them.' }),
} satisfies FlagTable;

/** What times on the command line look like. */
export const TIME_HELP = 'RFC 3339 or seconds since 1970.';

const instantFlags = {
  time: stringFlag('time', { placeholder: '<time>', help: `Time of the evaluation: ${TIME_HELP} Without it: now.` }),
  ...sourceFlags,
} satisfies FlagTable;

const rangeFlags = {
  start: stringFlag('start', { placeholder: '<time>', help: `First time of the evaluation: ${TIME_HELP} Without it: five minutes before the end.` }),
  end: stringFlag('end', { placeholder: '<time>', help: `Last time of the evaluation: ${TIME_HELP} Without it: now.` }),
  stepMs: durationFlag('step', { placeholder: '<duration>', help: 'Time between two points. Without it: a 250th of the range in whole seconds, one second at least.' }),
  ...sourceFlags,
} satisfies FlagTable;

type SourceValues = FlagValues<typeof sourceFlags>;

/** See the head of this file. */
export const promqlQueryInstant: Tool = defineTool({
  words: ['promql', 'query', 'instant'],
  help: 'Evaluates an expression at one time, on a server or over blocks. With - as the expression it is read from standard input.',
  flags: instantFlags,
  arguments: EXPRESSION_ARGUMENT,
  async run({ time, ...source }, deps, [argument]) {
    await runQuery(await readExpression(argument!, deps), { kind: 'instant', timeMs: readTime('time', time) ?? deps.clock() }, source, deps);
  },
});

/** See the head of this file. */
export const promqlQueryRange: Tool = defineTool({
  words: ['promql', 'query', 'range'],
  help: 'Evaluates an expression at the steps of a time range, on a server or over blocks. With - as the expression it is read from standard input.',
  flags: rangeFlags,
  arguments: EXPRESSION_ARGUMENT,
  async run({ start, end, stepMs, ...source }, deps, [argument]) {
    await runQuery(await readExpression(argument!, deps), readRange('query range', { start, end, stepMs }, deps), source, deps);
  },
});

/** The steps given by flags. @throws ToolsError ERR_TOOL_FLAGS */
export function readRange(action: string, { start, end, stepMs }: { readonly start: string; readonly end: string; readonly stepMs: number }, { clock }: Pick<ToolDeps, 'clock'>): QueryTimes {
  const endMs = readTime('end', end) ?? clock();
  const startMs = readTime('start', start) ?? endMs - 300_000;
  if (startMs >= endMs) throw new ToolsError('ERR_TOOL_FLAGS', `${action}: --start is not before --end`);
  if (stepMs < 0) throw new ToolsError('ERR_TOOL_FLAGS', `${action}: --step is ${stepMs} ms, wanted more than 0`);
  return { kind: 'range', startMs, endMs, stepMs: stepMs > 0 ? stepMs : Math.max(1, Math.floor((endMs - startMs) / 250_000)) * 1000 };
}

/** A time given by a flag; undefined if none is. @throws ToolsError ERR_TOOL_FLAGS */
export function readTime(name: string, text: string): number | undefined {
  if (text === '') return undefined;
  try {
    return parseTimestamp(text);
  } catch (error) {
    if (!(error instanceof ModelError)) throw error;
    throw new ToolsError('ERR_TOOL_FLAGS', `flag --${name}: ${error.message}; wanted ${TIME_HELP}`, error);
  }
}

async function runQuery(text: string, times: QueryTimes, source: SourceValues, allDeps: ToolDeps): Promise<void> {
  const { url, blockDirs, objstoreConfig, selector } = source;
  const given = [...(url === '' ? [] : ['--url']), ...(blockDirs.length === 0 ? [] : ['--block-dir']), ...(objstoreConfig.isSet ? ['--objstore.config'] : [])];
  if (given.length !== 1) throw new ToolsError('ERR_TOOL_FLAGS', `query: wanted one of --url, --block-dir and --objstore.config-file, got ${given.length === 0 ? 'none' : given.join(' and ')}`);
  if (url === '' && (source.headers.length > 0 || source.dedup !== undefined || source.partialResponse !== undefined)) throw new ToolsError('ERR_TOOL_FLAGS', 'query: --header, --dedup and --partial-response go with --url');
  if (url !== '' && selector.length > 0) throw new ToolsError('ERR_TOOL_FLAGS', 'query: --selector chooses blocks; with --url write matchers into the expression');
  const deps = withTimeout(allDeps, source.timeoutMs);
  if (url !== '') return askServer(text, times, source, deps);
  await overBlocks(text, times, source, { output: source.output, analyze: false }, deps);
}

/** Evaluates over the blocks that flags name. @throws ToolsError, errors of the evaluation */
export async function overBlocks(text: string, times: QueryTimes, source: FlagValues<typeof blockFlags>, how: Pick<QueryJob, 'output' | 'analyze'>, deps: ToolDeps): Promise<void> {
  // Wrong expressions are refused before anything is fetched.
  parseOrExplain(text, parserOptionsOf(source.features), deps);
  const { blockDirs, objstoreConfig, selector, features, maxMemoryBytes, maxDownloadBytes, lookbackDeltaMs, samplesMax } = source;
  const job = { text, times, selector, features, maxMemoryBytes, maxDownloadBytes, lookbackDeltaMs, samplesMax, ...how };
  if (blockDirs.length > 0) return deps.evaluateQuery({ ...job, blocks: { kind: 'folders', dirs: blockDirs } }, deps);
  await withFolder(deps.tmpDir, 'promql', (folder) => deps.evaluateQuery({ ...job, blocks: { kind: 'bucket', content: objstoreConfig.content(), source: objstoreConfig.source, folder } }, deps));
}

async function askServer(text: string, times: QueryTimes, source: SourceValues, deps: ToolDeps): Promise<void> {
  const headers = new Map<string, string>();
  for (const header of source.headers) {
    const equals = header.indexOf('=');
    if (equals < 1) throw new ToolsError('ERR_TOOL_FLAGS', `flag --header: wanted name=value, got ${JSON.stringify(header)}`);
    headers.set(header.slice(0, equals), header.slice(equals + 1));
  }
  const address = /^[a-z][a-z0-9+.-]*:\/\//i.test(source.url) ? source.url : `http://${source.url}`;
  if (!URL.canParse(address) || !/^https?:/i.test(address)) throw new ToolsError('ERR_TOOL_FLAGS', 'flag --url: wanted an http or https URL');
  const url = new URL(address);
  if (url.username !== '' || url.password !== '') {
    headers.set('authorization', `Basic ${Buffer.from(`${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`).toString('base64')}`);
    url.username = '';
    url.password = '';
  }
  const client = createPrometheusClient({ baseUrl: url.href, timeoutMs: Math.min(source.timeoutMs, 2 ** 31 - 1), headers: Object.fromEntries(headers) });
  const extra = {
    ...(source.dedup === undefined ? {} : { dedup: String(source.dedup) }),
    ...(source.partialResponse === undefined ? {} : { partial_response: String(source.partialResponse) }),
  };
  const query = { query: text, signal: deps.signal, extra };
  const { data, warnings } = times.kind === 'instant' ? await client.query({ ...query, ...times }) : await client.queryRange({ ...query, ...times });
  for (const warning of warnings) deps.log.warn('answer', { warning });
  printAnswer([data], source.output, deps.print);
}
