/**
 * `tools promql query instant` and `range`: a query against a Prometheus or querier, or evaluated here over blocks.
 *
 *   --url ────────────────► HTTP API ────────────────────────────────────┐
 *   --block-dir ──► find ─┬─► Queryable over blocks ─► engine ─► columns ─┴─► lines or JSON
 *   --objstore.config ────┘   (blocks downloaded when wanted)
 */
import { createPrometheusClient, encodeQueryResult, type QueryDataJson } from '@gauntlet/http-api';
import { createKernels, type Kernels } from '@gauntlet/kernels';
import { ModelError, parseTimestamp } from '@gauntlet/model';
import { createEngine, type QueryResult } from '@gauntlet/promql';
import { boolFlag, bytesFlag, durationFlag, enumFlag, type Flag, type FlagTable, type FlagValues, intFlag, labelsFlag, objstoreFlag, stringFlag, stringsFlag } from '@gauntlet/service-kit';
import { withBucket, withTimeout } from './bucket-blocks.ts';
import { ToolsError } from './errors.ts';
import { createFoundBlocks } from './promql-blocks.ts';
import { QueryBudget } from './promql-budget.ts';
import { EXPRESSION_ARGUMENT, featureFlag, parseOrExplain, parserOptionsOf, readExpression } from './promql-expression.ts';
import { findBucketBlocks, findLocalBlocks, type FoundBlock, withExternalLabels } from './promql-find-blocks.ts';
import { ANSWER_FORMATS, printAnswer } from './promql-print.ts';
import { defineTool, type Tool, type ToolDeps } from './tool.ts';
import { withFolder } from './verify/block-folder.ts';

/** A switch that may also be left to the server. */
function serverSwitch(name: string, help: string): Flag<boolean | undefined> {
  const flag = boolFlag(name, { help });
  return { ...flag, defaultText: undefined, read: (texts, fileTexts) => (texts.length === 0 ? undefined : flag.read(texts, fileTexts)) };
}

const sourceFlags = {
  url: stringFlag('url', { placeholder: '<url>', help: 'Prometheus or querier to ask, such as http://127.0.0.1:10902; with a path if it has a prefix.' }),
  headers: stringsFlag('header', { placeholder: '<name>=<value>', help: 'Header sent to --url (repeated), such as THANOS-TENANT=team-a.' }),
  dedup: serverSwitch('dedup', 'Whether a querier unites replicas; without the flag the server decides.'),
  partialResponse: serverSwitch('partial-response', 'Whether a querier may leave out stores that do not answer; without the flag the server decides.'),
  blockDirs: stringsFlag('block-dir', { placeholder: '<folder>', help: 'Block, or folder with blocks such as the data folder of a Prometheus, to evaluate over (repeated). The write-ahead log is not read.' }),
  objstoreConfig: objstoreFlag(false),
  selector: labelsFlag('selector', { short: 'l', help: 'Only blocks with this external label; given several times, with all of them.' }),
  maxMemoryBytes: bytesFlag('max-memory', { default: '1GiB', help: 'Most memory of an evaluation over blocks: columns, indexes and kernels. An expression that wants more fails.' }),
  maxDownloadBytes: bytesFlag('max-download', { default: '10GiB', help: 'Most that is downloaded from a bucket, into the temporary directory (TMPDIR), for one evaluation.' }),
  lookbackDeltaMs: durationFlag('query.lookback-delta', { default: '5m', help: 'How old a sample may be that a selector takes, in an evaluation over blocks.' }),
  samplesMax: intFlag('query.max-samples', { default: 50_000_000, min: 1, help: 'Most samples that an evaluation over blocks holds at once.' }),
  features: featureFlag,
  timeoutMs: durationFlag('timeout', { default: '5m', help: 'Time limit for the whole, downloads included.' }),
  output: enumFlag('output', ANSWER_FORMATS, { short: 'o', default: 'promql', help: 'Format of the output: promql (lines) or json, both as promtool prints them.' }),
} satisfies FlagTable;

const TIME_HELP = 'RFC 3339 or seconds since 1970.';

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
/** When a query is evaluated, ms. */
type QueryTimes = { readonly kind: 'instant'; readonly timeMs: number } | { readonly kind: 'range'; readonly startMs: number; readonly endMs: number; readonly stepMs: number };

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
    const endMs = readTime('end', end) ?? deps.clock();
    const startMs = readTime('start', start) ?? endMs - 300_000;
    if (startMs >= endMs) throw new ToolsError('ERR_TOOL_FLAGS', `query range: --start is not before --end`);
    if (stepMs < 0) throw new ToolsError('ERR_TOOL_FLAGS', `query range: --step is ${stepMs} ms, wanted more than 0`);
    const times = { kind: 'range', startMs, endMs, stepMs: stepMs > 0 ? stepMs : Math.max(1, Math.floor((endMs - startMs) / 250_000)) * 1000 } as const;
    await runQuery(await readExpression(argument!, deps), times, source, deps);
  },
});

function readTime(name: string, text: string): number | undefined {
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
  // Wrong expressions are refused before anything is fetched.
  parseOrExplain(text, parserOptionsOf(source.features), deps);
  if (blockDirs.length > 0) return evaluateOver(findLocalBlocks(blockDirs, deps.log), text, times, source, deps);
  await withBucket(deps, objstoreConfig, (bucket) =>
    withFolder(deps.tmpDir, 'promql', async (folder) => evaluateOver(await findBucketBlocks(bucket, folder, deps), text, times, source, deps)),
  );
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

async function evaluateOver(all: readonly FoundBlock[], text: string, times: QueryTimes, source: SourceValues, deps: ToolDeps): Promise<void> {
  const { log, clock, signal } = deps;
  const blocks = withExternalLabels(all, source.selector);
  if (blocks.length === 0) throw new ToolsError('ERR_QUERY_BLOCKS', `query: ${all.length === 0 ? 'there are no blocks' : `none of ${all.length} blocks has the external labels of --selector`}`);
  const kernels = createKernels({ maxMemoryBytes: Math.max(source.maxMemoryBytes, 1 << 20) });
  const budget = new QueryBudget(kernels, source.maxMemoryBytes, signal);
  const found = createFoundBlocks(blocks, { kernels, budget, log, clock, signal }, source.maxDownloadBytes);
  try {
    const engine = createEngine({
      kernels,
      lookbackDeltaMs: source.lookbackDeltaMs,
      maxSamples: source.samplesMax,
      delayedNameRemoval: source.features.includes('promql-delayed-name-removal'),
      parser: parserOptionsOf(source.features),
    });
    const query = { expr: text, queryable: found.queryable, signal, control: budget };
    const result = times.kind === 'instant' ? await engine.instant({ ...query, ...times }) : await engine.range({ ...query, ...times });
    try {
      for (const warning of [...result.warnings, ...result.infos]) log.warn('answer', { warning });
      printAnswer(resultPieces(result, kernels, times.kind === 'instant' ? times.timeMs : times.endMs), source.output, deps.print);
    } finally {
      result.dispose();
    }
  } finally {
    await found.close();
  }
}

/** Series of one piece. */
const PIECE_SERIES = 256;

/** A result as the API would write it, some series at a time. */
function* resultPieces(result: QueryResult, kernels: Kernels, timeMs: number): Generator<QueryDataJson, void, undefined> {
  const count = result.type === 'vector' || result.type === 'matrix' ? result.labels.length : 0;
  for (let from = 0; from === 0 || from < count; from += PIECE_SERIES) {
    const to = Math.min(from + PIECE_SERIES, count);
    const piece = count === 0 ? result : { ...result, labels: result.labels.slice(from, to), offsets: result.offsets.subarray(from, to + 1) };
    const decoder = new TextDecoder();
    let json = '';
    for (const bytes of encodeQueryResult(piece, { kernels, timeMs, warnings: [] })) json += decoder.decode(bytes, { stream: true });
    yield (JSON.parse(json) as { readonly data: QueryDataJson }).data;
  }
}
