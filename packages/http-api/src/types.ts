/**
 * Shapes of the JSON this API speaks, as a browser or any other client sees them. Nothing here depends on Node or on other packages.
 * Source: Prometheus docs/querying/api.md; Thanos pkg/api/query/v1.go.
 */

/** `errorType` of an answer with `status: "error"`. */
export type ErrorType = 'bad_data' | 'execution' | 'canceled' | 'timeout' | 'internal';

/** Every answer. `warnings` hold everything that made the answer less than complete, PromQL's remarks among them. */
export type ApiEnvelope<T> =
  | { readonly status: 'success'; readonly data: T; readonly warnings?: readonly string[]; readonly infos?: readonly string[] }
  | { readonly status: 'error'; readonly errorType: ErrorType; readonly error: string; readonly warnings?: readonly string[] };

export type LabelsJson = Readonly<Record<string, string>>;

/** Seconds since 1970 and the value as text (`NaN`, `+Inf` and `-Inf` are no JSON numbers). */
export type PointJson = readonly [seconds: number, value: string];

/** Buckets are `[boundary rule, lower, upper, count]`. */
export interface HistogramJson {
  readonly count: string;
  readonly sum: string;
  readonly buckets?: readonly (readonly [number, string, string, string])[];
}

export interface VectorSampleJson {
  readonly metric: LabelsJson;
  readonly value?: PointJson;
  readonly histogram?: readonly [seconds: number, histogram: HistogramJson];
}

export interface MatrixSeriesJson {
  readonly metric: LabelsJson;
  readonly values?: readonly PointJson[];
  readonly histograms?: readonly (readonly [seconds: number, histogram: HistogramJson])[];
}

/** `data.stats`; timings in seconds. */
export interface QueryStatsJson {
  readonly timings: {
    readonly evalTotalTime: number;
    readonly resultSortTime: number;
    readonly queryPreparationTime: number;
    readonly innerEvalTime: number;
    readonly execQueueTime: number;
    readonly execTotalTime: number;
  };
  readonly samples: {
    /** Only where asked for per step: seconds and samples. */
    readonly totalQueryableSamplesPerStep?: readonly (readonly [seconds: number, samples: number])[];
    readonly totalQueryableSamples: number;
    readonly samplesReadPerStep?: readonly (readonly [seconds: number, samples: number])[];
    /** Prometheus alone has it. */
    readonly samplesRead?: number;
    readonly peakSamples: number;
  };
}

/** `data.analysis`: what took how long; empty unless asked for. */
export interface QueryAnalysisJson {
  readonly name?: string;
  /** As Go prints durations: `1.5ms`. */
  readonly executionTime?: string;
  readonly peakSamples?: number;
  /** Samples looked at by the operator and all below. */
  readonly totalSamples?: number;
  /** Series it gave to the operator above; this and what follows is not Thanos'. */
  readonly series?: number;
  readonly samplesIn?: number;
  readonly samplesOut?: number;
  /** Most memory charged at once by the operator and all below. */
  readonly peakBytes?: number;
  readonly children?: readonly QueryAnalysisJson[];
}

/** `data` of query_explain and query_range_explain: an operator of the plan. */
export interface QueryExplanationJson {
  readonly name: string;
  /** What planning has decided about it; not Thanos'. */
  readonly notes?: readonly string[];
  readonly children?: readonly QueryExplanationJson[];
}

interface QueryDataExtras {
  readonly stats?: QueryStatsJson;
  readonly analysis?: QueryAnalysisJson;
}

/** `data` of query and query_range. */
export type QueryDataJson =
  | ({ readonly resultType: 'vector'; readonly result: readonly VectorSampleJson[] } & QueryDataExtras)
  | ({ readonly resultType: 'matrix'; readonly result: readonly MatrixSeriesJson[] } & QueryDataExtras)
  | ({ readonly resultType: 'scalar' | 'string'; readonly result: PointJson } & QueryDataExtras);

/** One endpoint behind a querier. */
export interface StoreJson {
  readonly name: string;
  /** RFC 3339. */
  readonly lastCheck: string;
  readonly lastError: string | null;
  readonly labelSets: readonly LabelsJson[];
  /** ms since 1970. */
  readonly minTime: number;
  readonly maxTime: number;
}

/** `data` of stores: endpoints by kind (`sidecar`, `store`, `rule`, `receive`, `query` …). */
export type StoresJson = Readonly<Record<string, readonly StoreJson[]>>;

export interface BuildInfoJson {
  readonly version: string;
  readonly revision: string;
  readonly branch: string;
  readonly buildUser: string;
  readonly buildDate: string;
  readonly goVersion: string;
}

export interface RuntimeInfoJson {
  /** RFC 3339. */
  readonly startTime: string;
  readonly CWD: string;
  readonly goroutineCount: number;
  readonly GOMAXPROCS: number;
  readonly GOGC: string;
  readonly GODEBUG: string;
  readonly GOMEMLIMIT: number;
}

export type FlagsJson = Readonly<Record<string, string>>;

/** One active alert. */
export interface AlertJson {
  readonly labels: LabelsJson;
  readonly annotations: LabelsJson;
  readonly state: 'unknown' | 'inactive' | 'pending' | 'firing';
  /** RFC 3339. */
  readonly activeAt?: string;
  /** As Go prints it, exponent form. */
  readonly value: string;
  /** Thanos only. */
  readonly partialResponseStrategy?: 'WARN' | 'ABORT';
}

interface RuleStatusJson {
  readonly name: string;
  readonly query: string;
  readonly labels: LabelsJson;
  readonly health: 'ok' | 'err' | 'unknown';
  readonly lastError?: string;
  /** Seconds. */
  readonly evaluationTime: number;
  /** RFC 3339; year 1 before the first. */
  readonly lastEvaluation: string;
}

export interface AlertingRuleJson extends RuleStatusJson {
  readonly type: 'alerting';
  /** The worst state of its alerts. */
  readonly state: AlertJson['state'];
  /** `for`, seconds. */
  readonly duration: number;
  /** Seconds. */
  readonly keepFiringFor: number;
  readonly annotations: LabelsJson;
  readonly alerts: readonly AlertJson[];
}

export interface RecordingRuleJson extends RuleStatusJson {
  readonly type: 'recording';
}

export type RuleJson = AlertingRuleJson | RecordingRuleJson;

export interface RuleGroupJson {
  readonly name: string;
  readonly file: string;
  readonly rules: readonly RuleJson[];
  /** Seconds, as all durations here. */
  readonly interval: number;
  readonly evaluationTime: number;
  /** RFC 3339; year 1 before the first. */
  readonly lastEvaluation: string;
  /** Most series or alerts of one rule; 0 has no limit. */
  readonly limit: number;
  /** Thanos only. */
  readonly partialResponseStrategy?: 'WARN' | 'ABORT';
}

/** `/api/v1/rules`. */
export interface RulesJson {
  readonly groups: readonly RuleGroupJson[];
}

/** `/api/v1/alerts`. */
export interface AlertsJson {
  readonly alerts: readonly AlertJson[] | null;
}
