/**
 * What the main thread and the thread of the rules tell each other. Plain data throughout: it is copied.
 *
 *   thread's own port    addresses, blocks that may go, reload, block rounds, stop ►   ◄ ready, facts, answers
 *   port of the calls    jobs of service-kit's worker-task: StoreAPI, Rules API, HTTP answers, metrics
 */
import type { Labels, RelabelConfig } from '@gauntlet/model';
import type { ParserOptions } from '@gauntlet/promql';
import type { HttpClientSettings, LogFormat, LogLevel, TaskErrorData } from '@gauntlet/service-kit';
import type { SeriesLimits, StoreCall } from '@gauntlet/storeapi';
import type { MessagePort } from 'node:worker_threads';
import type { AlertmanagerApi } from './alertmanager-config.ts';
import type { RuleManagerOptions } from './types.ts';

/** What the rules run with. */
export interface RulesSettings {
  readonly dataDir: string;
  readonly externalLabels: Labels;
  readonly database: { readonly blockRangeMs: number; readonly retentionMs: number; readonly walCompression: 'snappy' | 'none'; readonly hasLock: boolean; readonly keepsUntilHandedOver: boolean };
  /** File for what was acknowledged, for tests. */
  readonly ackLogPath: string | undefined;
  readonly ruleFiles: readonly string[];
  readonly parser: ParserOptions;
  readonly manager: RuleManagerOptions;
  readonly query: { readonly clients: readonly HttpClientSettings[]; readonly method: 'GET' | 'POST'; readonly onlyPrometheusParams: boolean };
  readonly alerts: {
    readonly alertmanagers: readonly { readonly client: HttpClientSettings; readonly timeoutMs: number; readonly api: AlertmanagerApi }[];
    readonly queryUrl: string;
    readonly queryTemplate: string;
    readonly dropLabels: readonly string[];
    readonly relabel: readonly RelabelConfig[];
  };
  readonly limits: SeriesLimits;
  readonly log: { readonly level: LogLevel; readonly format: LogFormat; readonly name: string };
}

/** `workerData` of the thread. */
export interface RulesThreadData {
  readonly settings: RulesSettings;
  readonly calls: MessagePort;
  /** Flags of the calls' slots; see service-kit's worker-task. */
  readonly flags: SharedArrayBuffer;
}

/** Base URLs per configured entry. */
export type EndpointLists = readonly (readonly string[])[];

/** What a reload found; a problem is a line with its place. */
export interface ReloadAnswer {
  readonly files: number;
  readonly problems: readonly string[];
}

/** A question with an answer. */
export type RulesRequestBody =
  /** Reads the rule files. → ReloadAnswer */
  | { readonly kind: 'reload' }
  /** Begins to evaluate. → undefined */
  | { readonly kind: 'run' }
  /** Cuts blocks that are due. → their ULIDs */
  | { readonly kind: 'cut' }
  /** These blocks need not be kept: the bucket has them, and its readers know; applies retention. → undefined */
  | { readonly kind: 'handed over'; readonly blocks: readonly string[] }
  /** Ends in order. → undefined */
  | { readonly kind: 'stop' };

/** To the thread. */
export type ToRules =
  | { readonly type: 'queries'; readonly endpoints: EndpointLists }
  | { readonly type: 'alertmanagers'; readonly endpoints: EndpointLists }
  | { readonly type: 'request'; readonly id: number; readonly body: RulesRequestBody };

/** What the main thread announces of the database. */
export interface RulesFacts {
  /** First time there may be a sample of, ms; MIN_TIME_MS without any. */
  readonly mint: number;
}

/** From the thread. */
export type FromRules =
  | { readonly type: 'ready'; readonly facts: RulesFacts }
  | { readonly type: 'failed'; readonly error: TaskErrorData }
  | { readonly type: 'facts'; readonly facts: RulesFacts }
  | { readonly type: 'answer'; readonly id: number; readonly value: unknown }
  | { readonly type: 'refused'; readonly id: number; readonly error: TaskErrorData };

/** A call that the thread answers; series and rules in pieces of frames, `api` as head and bytes. */
export type RulesCall =
  | { readonly kind: 'store'; readonly call: StoreCall }
  /** RULE_TYPE of the Rules API. */
  | { readonly kind: 'rules'; readonly type: number }
  | { readonly kind: 'api'; readonly route: 'rules' | 'alerts'; readonly url: string; readonly form: string | undefined }
  /** → string, the HTML */
  | { readonly kind: 'page'; readonly page: PageName; readonly prefix: string; readonly url: string }
  /** → MetricFamilySnapshot[] */
  | { readonly kind: 'metrics' };

/** Pages for people. */
export type PageName = 'rules' | 'alerts';

/** First piece of an HTTP answer. */
export interface AnswerHead {
  readonly status: number;
  readonly noStore: boolean;
}
