/**
 * Entry of the query workers: a query runs here whole, from fan-out to JSON bytes. The main thread only moves what comes out.
 *
 *   task ─► account in the ledger ─► control (task-control) + engine (computer-pool) ─► fan-out, evaluation, JSON ─► pieces ─► report
 */
import { isMainThread, threadId } from 'node:worker_threads';
import {
  type ApiAnswer,
  ApiParams,
  type ReadOptions,
  answerError,
  answerExplain,
  answerFormatQuery,
  answerLabelValues,
  answerLabels,
  answerParseQuery,
  answerSeries,
  parseExplainQuery,
  parseExplainRangeQuery,
  parseInstantQuery,
  parseRangeQuery,
  runQuery,
} from '@gauntlet/http-api/worker';
import { type Labels, type Matcher, labelsFromPairs } from '@gauntlet/model';
import { type ParserOptions, parseMetricSelector } from '@gauntlet/promql';
import { type MemoryAccount, MemoryLedger, formatDurationText, type TaskAnswer, type WorkerTask, poolData, serveTasks } from '@gauntlet/service-kit/worker';
import { type ProxyCallOptions, type ProxyStore, createProxyStore, limitSeries, proxyRules, type RulesFanOutOptions, sendFrames } from '@gauntlet/storeapi';
import { type Computer, ComputerPool } from './computer-pool.ts';
import { QuerierError, explainMemory } from './errors.ts';
import { lookbackFor } from './lookback.ts';
import { type ApiTask, type AnswerHead, type QueryTask, type RulesTask, type StoreTask, type TaskReport, type WorkerSettings } from './query-task.ts';
import { answerExemplarsOf, exemplarsEndpoints } from './exemplars-answer.ts';
import { answerAlertsOf, answerRulesOf, rulesEndpoints } from './rules-answer.ts';
import { createUnavailableStore } from './unavailable-store.ts';
import { StoreClients } from './store-clients.ts';
import { type QueryCounters, StoreQueryable } from './store-queryable.ts';
import { TaskControl } from './task-control.ts';

const IDLE_CLIENT_MS = 300_000;

const settings = poolData() as WorkerSettings;
const ledger = new MemoryLedger(settings.ledger);
const clients = new StoreClients(Date.now);
setInterval(() => clients.closeIdle(IDLE_CLIENT_MS), 60_000).unref();
const selectorLabels: Labels = labelsFromPairs(settings.selectorLabels);
const parserOptions: ParserOptions = settings.parser;
const computers = new ComputerPool({
  maxMemoryBytes: settings.maxMemoryBytes,
  engine: {
    maxSamples: settings.maxSamples,
    maxSeries: settings.maxSeries,
    noStepSubqueryIntervalMs: settings.defaultEvaluationIntervalMs,
    parser: parserOptions,
    ...(settings.lookbackDeltaMs > 0 ? { lookbackDeltaMs: settings.lookbackDeltaMs } : {}),
  },
});

function proxyOver(task: QueryTask): ProxyStore {
  const endpoints = task.endpoints.map(({ target, info, unavailable }) => ({
    address: target.address,
    info,
    store: unavailable === undefined ? clients.get(target) : createUnavailableStore(info, unavailable),
  }));
  return createProxyStore({
    endpoints: () => endpoints,
    selectorLabels,
    responseTimeoutMs: settings.responseTimeoutMs,
    retrieval: settings.proxyStrategy,
    storeType: 'query',
  });
}

const rulesOver = (task: QueryTask): ReturnType<typeof rulesEndpoints> => rulesEndpoints(task.endpoints, (target) => clients.get(target));
const rulesDefaults = { replicaLabels: settings.defaults.replicaLabels, partialResponse: settings.rulePartialResponse };
const exemplarsDefaults = { replicaLabels: settings.defaults.replicaLabels, partialResponse: settings.exemplarPartialResponse, selectorLabels, parser: parserOptions };
const rulesOptions = ({ tenant }: QueryTask, { task, control }: Running): RulesFanOutOptions => ({ signal: task.signal, tenant, timeoutMs: settings.timeoutMs, charge: control });

interface Running {
  readonly task: WorkerTask;
  readonly control: TaskControl;
  readonly account: MemoryAccount;
  readonly counters: QueryCounters;
  encodedBytes: number;
}

async function answerApi(request: ApiTask, computer: Computer, running: Running): Promise<ApiAnswer> {
  const { task, control, counters } = running;
  const params = new ApiParams(new URLSearchParams(request.url), request.form === undefined ? undefined : new URLSearchParams(request.form));
  const store = proxyOver(request);
  const startedMs = performance.now();
  const queryable = (read: ReadOptions): StoreQueryable => {
    const storeMatchers: (readonly Matcher[])[] = read.storeMatchers.map((text) => parseMetricSelector(text));
    return new StoreQueryable({
      store,
      kernels: computer.kernels,
      charge: control,
      replicaLabels: read.dedup ? read.replicaLabels : [],
      dedupFunction: settings.dedupFunction,
      skipChunks: read.skipChunks,
      shardInfo: read.shardInfo,
      partialResponse: read.partialResponse,
      maxResolutionMs: read.maxResolutionMs,
      timeoutMs: () => Math.max(1, settings.timeoutMs - (performance.now() - startedMs)),
      tenant: request.tenant,
      storeMatchers,
      counters,
    });
  };
  const { defaults } = settings;
  const metadata = { queryable, defaults, now: Date.now, signal: task.signal };
  const lookbackDeltaMs = (maxResolutionMs: number): number | undefined => lookbackFor(settings.lookbackDeltaMs, settings.dynamicLookback, maxResolutionMs);
  try {
    switch (request.route) {
      case 'query_explain':
      case 'query_range_explain': {
        const call = request.route === 'query_explain' ? parseExplainQuery(params, defaults, Date.now()) : parseExplainRangeQuery(params, defaults);
        return answerExplain(call, { engine: computer.engine, lookbackDeltaMs });
      }
      case 'query':
      case 'query_range': {
        const call = request.route === 'query' ? parseInstantQuery(params, defaults, Date.now()) : parseRangeQuery(params, defaults);
        return await runQuery(call, {
          engine: computer.engine,
          kernels: computer.kernels,
          queryable,
          lookbackDeltaMs,
          timeoutMs: settings.timeoutMs,
          control,
          signal: task.signal,
          explain: (error) => explainMemory(error, settings.maxMemoryBytes),
          now: () => performance.now(),
        });
      }
      case 'series':
        return await answerSeries(params, metadata);
      case 'labels':
        return await answerLabels(params, metadata);
      case 'label_values':
        return await answerLabelValues(request.label, params, metadata);
      case 'format_query':
        return answerFormatQuery(params, parserOptions);
      case 'parse_query':
        return answerParseQuery(params, parserOptions);
      case 'rules':
        return await answerRulesOf(rulesOver(request), params, rulesDefaults, rulesOptions(request, running));
      case 'alerts':
        return await answerAlertsOf(rulesOver(request), params, rulesDefaults, rulesOptions(request, running));
      case 'query_exemplars':
        return await answerExemplarsOf(exemplarsEndpoints(request.endpoints, (target) => clients.get(target)), params, exemplarsDefaults, rulesOptions(request, running));
    }
  } catch (error) {
    return answerError(error);
  }
}

/**
 * Hands a piece to the main thread, which hands it to the reader. One that takes nothing for the time of a whole query must not keep a
 * worker and its memory.
 */
async function sendPiece(task: WorkerTask, piece: Uint8Array<ArrayBuffer>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new QuerierError('ERR_TIMEOUT', `write answer: the reader took nothing for ${formatDurationText(settings.timeoutMs)} (--query.timeout)`)), Math.min(settings.timeoutMs, 0x7fff_ffff));
  });
  try {
    await Promise.race([task.send(piece, [piece.buffer]), late]);
  } finally {
    clearTimeout(timer);
  }
  task.throwIfCancelled();
}

async function runApi(request: ApiTask, running: Running): Promise<TaskAnswer> {
  const computer = computers.take();
  try {
    const answer = await answerApi(request, computer, running);
    if (running.control.outgrown !== undefined) throw running.control.outgrown;
    running.task.throwIfCancelled();
    running.control.settle();
    const head: AnswerHead = { status: answer.status, noStore: answer.noStore };
    await running.task.send(head);
    for await (const bytes of answer.body) {
      running.encodedBytes += bytes.length;
      // The buffer is handed over whole, so it must hold nothing else.
      const piece = bytes.byteLength === bytes.buffer.byteLength ? bytes : bytes.slice();
      await sendPiece(running.task, piece);
    }
    return { value: reportOf(running) };
  } finally {
    computers.giveBack(computer);
  }
}

/** Frames of a StoreAPI call, moved on as they come. */
async function runSeries(request: StoreTask & { readonly kind: 'series' }, running: Running): Promise<TaskAnswer> {
  const { task, control, counters } = running;
  const store = limitSeries(proxyOver(request), settings.storeLimits);
  const options: ProxyCallOptions = { signal: task.signal, tenant: request.tenant, timeoutMs: settings.timeoutMs, charge: control };
  await sendFrames(
    store.series(request.request, options),
    (piece, transfer) => {
      // Frames hold one series or a batch; counting what is in them would mean to decode them again.
      counters.series += piece.ends.length;
      running.encodedBytes += piece.bytes.length;
      return task.send(piece, transfer);
    },
    () => task.throwIfCancelled(),
  );
  return { value: reportOf(running) };
}

/** Messages of a Rules call; nothing is decoded. */
async function runRules(request: RulesTask, running: Running): Promise<TaskAnswer> {
  const { task } = running;
  await sendFrames(
    proxyRules(rulesOver(request), request.request, rulesOptions(request, running)),
    (piece, transfer) => {
      running.encodedBytes += piece.bytes.length;
      return task.send(piece, transfer);
    },
    () => task.throwIfCancelled(),
  );
  return { value: reportOf(running) };
}

function reportOf({ account, counters, encodedBytes }: Running, value?: unknown): TaskReport {
  return {
    isMainThread,
    mergedSeries: counters.series,
    decodedChunks: counters.chunks,
    samples: counters.samples,
    encodedBytes,
    peakBytes: account.peakBytes,
    ...(value === undefined ? {} : { value }),
  };
}

serveTasks(async (request, task) => {
  const query = request as QueryTask;
  const account = ledger.openAccount(query.name, settings.maxMemoryBytes, threadId);
  const running: Running = { task, account, control: new TaskControl(task, account, () => performance.now()), counters: { series: 0, chunks: 0, samples: 0 }, encodedBytes: 0 };
  try {
    switch (query.kind) {
      case 'api':
        return await runApi(query, running);
      case 'series':
        return await runSeries(query, running);
      case 'rules':
        return await runRules(query, running);
      case 'labelNames':
        return { value: reportOf(running, await proxyOver(query).labelNames(query.request, { signal: task.signal, tenant: query.tenant, timeoutMs: settings.timeoutMs })) };
      case 'labelValues':
        return { value: reportOf(running, await proxyOver(query).labelValues(query.request, { signal: task.signal, tenant: query.tenant, timeoutMs: settings.timeoutMs })) };
      default:
        throw new QuerierError('ERR_BAD_DATA', `run query task: unknown kind ${String((query as { kind: unknown }).kind)}`);
    }
  } finally {
    account.close();
  }
});
