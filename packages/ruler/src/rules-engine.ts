/**
 * Everything that runs in the thread of the rules: the database, evaluation, queries, sending of alerts, and the answers made from them.
 *
 *   rule files ─► rule manager ─┬─► query clients ─► queriers
 *                               ├─► database (log first) ─► StoreAPI
 *                               └─► alert queue ─► alert sender ─► Alertmanagers
 *
 * `rules-worker.ts` drives it by messages; tests drive it directly.
 */
import { setMaxListeners } from 'node:events';
import { type ApiAnswer, answerAlerts, answerError, ApiParams, answerRules } from '@gauntlet/http-api';
import { createKernels } from '@gauntlet/kernels';
import { MIN_TIME_MS, withExternalLabels } from '@gauntlet/model';
import { BUILD_INFO, createHttpClient, createNodeFileSystem, type HttpClient, type Logger, type Metrics, type TaskAnswer, type WorkerTask } from '@gauntlet/service-kit';
import { createTsdbStore, encodeRuleGroups, limitSeries, sendFrames, type Store, type StoreCall } from '@gauntlet/storeapi';
import { createDb, type Db, describeReplay } from '@gauntlet/tsdb';
import { createAckLog } from './ack-log.ts';
import { type AlertQueue, createAlertQueue } from './alert-queue.ts';
import { type AlertSender, createAlertSender } from './alert-sender.ts';
import { compileRelabel } from './alertmanager-config.ts';
import { declareDbMetrics, declareReloadMetrics } from './database-metrics.ts';
import { createDuplicateWatch } from './duplicate-rulers.ts';
import { createGeneratorUrl } from './generator-url.ts';
import { createQueryClients } from './query-clients.ts';
import { createForStateSource, createRuleAppender } from './rule-database.ts';
import { createRuleLoader } from './rule-loader.ts';
import { createRuleManager } from './rule-manager.ts';
import { renderRulesPage } from './rule-pages.ts';
import type { AnswerHead, EndpointLists, ReloadAnswer, RulesCall, RulesFacts, RulesRequestBody, RulesSettings } from './rules-protocol.ts';
import type { RuleManager } from './types.ts';

/** What {@link startRulesEngine} needs. */
export interface RulesEngineDeps {
  readonly log: Logger;
  readonly metrics: Metrics;
  /** Unix ms. */
  readonly clock: () => number;
  /** In [0, 1). */
  readonly random: () => number;
  /** Runs a function once, later. @returns a function that cancels it */
  readonly setTimer: (delayMs: number, run: () => void) => () => void;
}

/** The part of a worker's task that calls use. */
export type CallOutput = Pick<WorkerTask, 'send' | 'signal' | 'throwIfCancelled'>;

/** See the head of this file. */
export interface RulesEngine {
  readonly db: Db;
  facts(): RulesFacts;
  setQueryEndpoints(endpoints: EndpointLists): void;
  setAlertmanagers(endpoints: EndpointLists): void;
  /** @throws RulerError, TsdbError */
  request(body: RulesRequestBody): Promise<unknown>;
  /** @throws StoreError, the reason of the output's signal */
  call(call: RulesCall, output: CallOutput): Promise<TaskAnswer>;
  /** Ends evaluation, sends what is queued, closes the database. Idempotent. */
  stop(): Promise<void>;
}

/** Cutting works on one chunk at a time; series are sent undecoded. */
const KERNEL_BYTES_MAX = 64 << 20;
/** A stop waits no longer for Alertmanagers. */
const DRAIN_MS = 5000;
/** Queriers need a few rounds to see a new ruler. */
const FIRST_DUPLICATE_LOOK_MS = 15_000;
const DUPLICATE_LOOK_MS = 30_000;

/**
 * Opens the database and builds everything; nothing is evaluated before the request `run`.
 * @throws TsdbError when the database is locked or damaged; RulerError, ServiceKitError for settings that cannot work
 */
export function startRulesEngine(settings: RulesSettings, deps: RulesEngineDeps): RulesEngine {
  return new Engine(settings, deps);
}

class Engine implements RulesEngine {
  readonly db: Db;
  readonly #settings: RulesSettings;
  readonly #deps: RulesEngineDeps;
  readonly #store: Store;
  readonly #manager: RuleManager;
  readonly #queue: AlertQueue;
  readonly #sender: AlertSender;
  readonly #lookForDuplicates: (signal: AbortSignal) => Promise<void>;
  readonly #loader: ReturnType<typeof createRuleLoader>;
  readonly #reloadMetrics: ReturnType<typeof declareReloadMetrics>;
  readonly #clients: HttpClient[] = [];
  readonly #closers: (() => void)[] = [];
  readonly #ending = new AbortController();
  readonly #endSending = new AbortController();
  #queryEndpoints: EndpointLists = [];
  #alertmanagers: EndpointLists = [];
  #handedOver: ReadonlySet<string> = new Set();
  #work: Promise<unknown>[] = [];
  #cancelTimer: () => void = () => {};
  #stopping: Promise<void> | undefined;

  constructor(settings: RulesSettings, deps: RulesEngineDeps) {
    const { log, metrics, clock, random } = deps;
    const { externalLabels, database, alerts } = settings;
    // Each group listens to it.
    setMaxListeners(0, this.#ending.signal);
    this.#settings = settings;
    this.#deps = deps;
    const http = (client: RulesSettings['query']['clients'][number]): HttpClient => {
      const made = createHttpClient(client, { userAgent: `Gauntlet/${BUILD_INFO.version}`, clock });
      this.#clients.push(made);
      return made;
    };
    const queries = createQueryClients(
      { groups: settings.query.clients.map((client, i) => ({ http: http(client), endpoints: () => this.#queryEndpoints[i] ?? [] })), random, log, metrics },
      settings.query,
    );
    this.#queue = createAlertQueue(
      { log, metrics, generatorUrl: createGeneratorUrl(alerts.queryUrl, alerts.queryTemplate) },
      { externalLabels, dropLabels: alerts.dropLabels, relabel: compileRelabel(alerts.relabel) },
    );
    this.#sender = createAlertSender({
      log,
      metrics,
      clock,
      groups: alerts.alertmanagers.map(({ client, timeoutMs, api }, i) => ({ http: http(client), timeoutMs, api, endpoints: () => this.#alertmanagers[i] ?? [] })),
    });
    this.#lookForDuplicates = createDuplicateWatch({ log, metrics, externalLabels, stores: (signal) => queries.stores(signal) });
    this.#loader = createRuleLoader(settings.ruleFiles, settings.parser);
    this.#reloadMetrics = declareReloadMetrics(metrics);

    const disk = createNodeFileSystem();
    this.db = createDb(
      {
        fs: database.hasLock ? disk : withoutLock(disk),
        dir: settings.dataDir,
        kernels: createKernels({ maxMemoryBytes: KERNEL_BYTES_MAX }),
        clock: { now: clock },
        random,
        hooks: { canDeleteBlock: ({ ulid }) => !database.keepsUntilHandedOver || this.#handedOver.has(ulid) },
      },
      { blockRangeMs: database.blockRangeMs, retentionMs: database.retentionMs, walCompression: database.walCompression },
    );
    this.#closers.push(() => this.db.close());
    try {
      for (const { text } of describeReplay(this.db.replay)) log.warn('not all of the log could be read', { dir: settings.dataDir, reason: text });
      for (const { ulid, error } of this.db.damagedBlocks()) log.error('block is not read', { block: ulid, err: error });
      declareDbMetrics(metrics, this.db);
      const ackLog = settings.ackLogPath === undefined ? undefined : createAckLog(settings.ackLogPath);
      if (ackLog !== undefined) this.#closers.push(() => ackLog.close());
      this.#store = limitSeries(createTsdbStore({ queryable: this.db.chunkQueryable, externalLabels: () => externalLabels, mint: () => this.facts().mint, storeType: 'rule' }), settings.limits);
      this.#manager = createRuleManager(
        {
          query: queries.query,
          appender: createRuleAppender(this.db, ackLog),
          alerts: this.#queue,
          forState: createForStateSource(this.db),
          clock,
          setTimer: deps.setTimer,
          log,
          metrics,
          externalLabels,
          externalUrl: alerts.queryUrl,
        },
        settings.manager,
      );
    } catch (error) {
      for (const close of this.#closers) close();
      throw error;
    }
  }

  facts(): RulesFacts {
    const first = Math.min(this.db.blocks()[0]?.meta.minTime ?? Number.POSITIVE_INFINITY, this.db.stats().headMinTimeMs);
    return { mint: Number.isFinite(first) ? first : MIN_TIME_MS };
  }

  setQueryEndpoints(endpoints: EndpointLists): void {
    this.#queryEndpoints = endpoints;
  }

  setAlertmanagers(endpoints: EndpointLists): void {
    this.#alertmanagers = endpoints;
  }

  async request(body: RulesRequestBody): Promise<unknown> {
    switch (body.kind) {
      case 'reload':
        return this.#reload();
      case 'run':
        this.#run();
        return undefined;
      case 'cut':
        return this.#cut();
      case 'handed over':
        this.#handedOver = new Set(body.blocks);
        this.db.reloadBlocks();
        return undefined;
      case 'stop':
        return this.stop();
    }
  }

  async call(call: RulesCall, output: CallOutput): Promise<TaskAnswer> {
    switch (call.kind) {
      case 'store':
        return { value: await this.#storeCall(call.call, output) };
      case 'rules':
        await sendFrames(encodeRuleGroups(Promise.resolve(this.#groups()), call.type), (piece, transfer) => output.send(piece, transfer), () => output.throwIfCancelled());
        return { value: undefined };
      case 'api':
        await sendApiAnswer(this.#apiAnswer(call.route, new ApiParams(new URLSearchParams(call.url), call.form === undefined ? undefined : new URLSearchParams(call.form))), output);
        return { value: undefined };
      case 'page':
        return { value: renderRulesPage(call.page, this.#groups(), { prefix: call.prefix, queryUrl: this.#settings.alerts.queryUrl, search: call.url, nowMs: this.#deps.clock() }) };
      case 'metrics':
        return { value: await this.#deps.metrics.registry.snapshot() };
    }
  }

  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  #groups(): ReturnType<typeof withExternalLabels> {
    return withExternalLabels(this.#manager.groups(), this.#settings.externalLabels);
  }

  #apiAnswer(route: 'rules' | 'alerts', params: ApiParams): ApiAnswer {
    try {
      // As with Thanos, alerts come without external labels and under a capital key.
      return route === 'rules' ? answerRules(this.#groups(), params) : answerAlerts(this.#manager.groups(), { key: 'Alerts' });
    } catch (error) {
      return answerError(error);
    }
  }

  async #storeCall(call: StoreCall, output: CallOutput): Promise<unknown> {
    const options = { signal: output.signal };
    switch (call.kind) {
      case 'series':
        await sendFrames(this.#store.series(call.request, options), (piece, transfer) => output.send(piece, transfer), () => output.throwIfCancelled());
        return undefined;
      case 'labelNames':
        return this.#store.labelNames(call.request, options);
      case 'labelValues':
        return this.#store.labelValues(call.request, options);
    }
  }

  #reload(): ReloadAnswer {
    const { log, clock } = this.#deps;
    const { groups, files, problems, warnings, kept } = this.#loader.load();
    this.#manager.update(groups);
    for (const warning of warnings) log.warn('rule file', { warning });
    for (const problem of problems) log.error('rule file has a problem', { err: problem });
    for (const file of kept) log.warn('rule file has problems, its groups stay as they were last good', { file });
    log.info('reload rule files', { numFiles: files.length, numGroups: groups.length, numProblems: problems.length });
    if (problems.length === 0) this.#reloadMetrics.succeeded(clock());
    else this.#reloadMetrics.failed();
    return { files: files.length, problems };
  }

  #run(): void {
    if (this.#work.length > 0 || this.#ending.signal.aborted) return;
    this.#work = [this.#manager.run(this.#ending.signal), this.#sender.run(this.#queue, this.#endSending.signal)];
    const look = (delayMs: number): void => {
      this.#cancelTimer = this.#deps.setTimer(delayMs, () => {
        this.#lookForDuplicates(this.#ending.signal)
          .catch(() => undefined)
          .finally(() => {
            if (!this.#ending.signal.aborted) look(DUPLICATE_LOOK_MS);
          });
      });
    };
    look(FIRST_DUPLICATE_LOOK_MS);
  }

  #cut(): readonly string[] {
    const cut = this.db.compactHead();
    for (const meta of cut) this.#deps.log.info('block cut', { block: meta.ulid, mint: meta.minTime, maxt: meta.maxTime, samples: meta.stats.numSamples });
    return cut.map(({ ulid }) => ulid);
  }

  async #stop(): Promise<void> {
    this.#cancelTimer();
    this.#ending.abort();
    await this.#work[0];
    this.#endSending.abort();
    await this.#work[1];
    const deadline = AbortSignal.timeout(DRAIN_MS);
    while (this.#queue.length > 0 && !deadline.aborted) await this.#sender.send(await this.#queue.pop(deadline), deadline).catch(() => undefined);
    for (const close of this.#closers.splice(0).reverse()) close();
    for (const client of this.#clients) client.close();
  }
}

async function sendApiAnswer(answer: ApiAnswer, output: CallOutput): Promise<void> {
  const head: AnswerHead = { status: answer.status, noStore: answer.noStore };
  await output.send(head);
  for await (const piece of answer.body) {
    output.throwIfCancelled();
    await output.send(piece, piece.byteLength === piece.buffer.byteLength ? [piece.buffer] : []);
  }
}

/** The file system, with locks that hold nothing: `--tsdb.no-lockfile`. */
function withoutLock(fs: ReturnType<typeof createNodeFileSystem>): ReturnType<typeof createNodeFileSystem> {
  return Object.assign(Object.create(fs) as typeof fs, { lock: () => ({ release: () => undefined }) });
}
