/**
 * Evaluates expressions over query API servers: clients and their addresses in random order, the first answer wins.
 *
 *   expression ─► POST /api/v1/query (query, time, dedup, partial_response …) ─► JSON ─► samples, warnings
 *        no answer from any: an error with the reason each gave
 *
 * Source of behaviour: Thanos cmd/thanos/rule.go, queryFuncCreator; pkg/promclient. Unlike there the reason is not lost.
 */
import { isPromqlRemark } from '@gauntlet/http-api';
import { type Labels, labelsFromMap, type PartialResponseStrategy } from '@gauntlet/model';
import { errorText, type HttpClient, type Logger, type Metrics } from '@gauntlet/service-kit';
import { RulerError } from './errors.ts';
import type { RuleQuery, RuleQueryAnswer, VectorSample } from './types.ts';

/** A set of equal query API servers with their current addresses. */
export interface QueryGroup {
  readonly http: HttpClient;
  /** Base URLs, without a slash at the end; may hold an address twice. */
  endpoints(): readonly string[];
}

/** What {@link createQueryClients} needs. */
export interface QueryClientsDeps {
  readonly groups: readonly QueryGroup[];
  /** In [0, 1). */
  readonly random: () => number;
  readonly log: Logger;
  readonly metrics: Metrics;
}

/** Options of {@link createQueryClients}. */
export interface QueryClientsOptions {
  readonly method: 'GET' | 'POST';
  /** No parameters that only Thanos knows. */
  readonly onlyPrometheusParams: boolean;
}

/** An endpoint that a querier knows, as its stores page shows it. */
export interface KnownStore {
  readonly name: string;
  /** Component: `rule`, `sidecar`, … */
  readonly component: string;
  readonly isUp: boolean;
  readonly labelSets: readonly Labels[];
}

/** See the head of this file. */
export interface QueryClients {
  readonly query: RuleQuery;
  /** What the queriers that answer have for stores, one list per querier; Prometheus and others without that page have none. */
  stores(signal: AbortSignal): Promise<readonly (readonly KnownStore[])[]>;
}

/** A query runs no longer than queriers let it by default. */
const QUERY_TIMEOUT_MS = 120_000;
const STORES_TIMEOUT_MS = 10_000;
/** Bytes of an answer that are read; a million series of a rule are about 200 MB. */
const ANSWER_BYTES_MAX = 512 << 20;
const REASON_CHARACTERS_MAX = 2000;

/** Makes the clients. */
export function createQueryClients(deps: QueryClientsDeps, options: QueryClientsOptions): QueryClients {
  const { groups, random, log, metrics } = deps;
  const duplicated = metrics.counter({ name: 'thanos_rule_duplicated_query_addresses_total', help: 'The number of times a duplicated query addresses is detected from the different configs in rule.' });

  const endpointsOf = (group: QueryGroup): readonly string[] => {
    const all = group.endpoints();
    const unique = [...new Set(all)];
    if (unique.length < all.length) {
      duplicated.inc(all.length - unique.length);
      log.debug('duplicate query addresses', { addresses: all.join(', ') });
    }
    return unique;
  };

  const query: RuleQuery = async (expr, timeMs, { strategy, signal }) => {
    const params = queryParams(expr, timeMs, strategy, options.onlyPrometheusParams);
    const reasons = new Map<string, string>();
    for (const group of shuffled(groups, random)) {
      for (const endpoint of shuffled(endpointsOf(group), random)) {
        try {
          const answer = await ask(group.http, endpoint, params, options.method, signal);
          for (const [away, reason] of reasons) log.warn('query API server gave no answer, another did', { endpoint: away, answered: endpoint, err: reason });
          const warnings = answer.warnings.filter((warning) => !isPromqlRemark(warning));
          if (warnings.length > 0) log.warn('rule evaluated with warnings', { warnings: warnings.join(', '), query: expr });
          return { samples: answer.samples, warnings };
        } catch (error) {
          signal.throwIfAborted();
          reasons.set(endpoint, errorText(error));
        }
      }
    }
    throw new RulerError('ERR_QUERY', noAnswerText(reasons));
  };

  const stores = async (signal: AbortSignal): Promise<readonly (readonly KnownStore[])[]> => {
    const asks = groups.flatMap((group) =>
      endpointsOf(group).map(async (endpoint) => {
        const answer = await group.http.request(`${endpoint}/api/v1/stores`, { method: 'GET', timeoutMs: STORES_TIMEOUT_MS, bytesMax: ANSWER_BYTES_MAX, signal });
        return answer.status === 200 ? readStores(answer.text) : undefined;
      }),
    );
    const outcomes = await Promise.allSettled(asks);
    return outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' && outcome.value !== undefined ? [outcome.value] : []));
  };

  return { query, stores };
}

function queryParams(expr: string, timeMs: number, strategy: PartialResponseStrategy, onlyPrometheus: boolean): URLSearchParams {
  const params = new URLSearchParams({ query: expr, time: new Date(timeMs).toISOString().replace(/\.?0*Z$/, 'Z') });
  if (onlyPrometheus) return params;
  params.set('dedup', 'true');
  params.set('partial_response', String(strategy === 'warn'));
  params.set('engine', '');
  params.set('explain', 'false');
  params.set('analyze', 'false');
  return params;
}

async function ask(http: HttpClient, endpoint: string, params: URLSearchParams, method: 'GET' | 'POST', signal: AbortSignal): Promise<RuleQueryAnswer> {
  const url = `${endpoint}/api/v1/query`;
  const limits = { timeoutMs: QUERY_TIMEOUT_MS, bytesMax: ANSWER_BYTES_MAX, signal };
  const answer =
    method === 'GET'
      ? await http.request(`${url}?${params.toString()}`, { method, ...limits })
      : await http.request(url, { method, headers: { 'Content-Type': 'application/x-www-form-urlencoded' }, body: params.toString(), ...limits });
  return readQueryAnswer(answer.status, answer.text);
}

/**
 * Reads the answer to an instant query.
 * @throws RulerError ERR_QUERY with the server's reason; for results that are neither vector nor scalar; for native histograms
 */
export function readQueryAnswer(status: number, text: string): RuleQueryAnswer {
  const refuse = (why: string): never => {
    throw new RulerError('ERR_QUERY', why.slice(0, REASON_CHARACTERS_MAX));
  };
  let parsed: { status?: unknown; errorType?: unknown; error?: unknown; warnings?: unknown; data?: { resultType?: unknown; result?: unknown } | null };
  try {
    parsed = JSON.parse(text) as typeof parsed;
  } catch {
    return refuse(status >= 200 && status <= 299 ? `the answer is not JSON: ${text.slice(0, 200)}` : `status ${status}: ${text.trim()}`);
  }
  if (typeof parsed !== 'object' || parsed === null) return refuse(`the answer is no object: ${text.slice(0, 200)}`);
  if (typeof parsed.error === 'string' && parsed.error !== '') return refuse(typeof parsed.errorType === 'string' && parsed.errorType !== '' ? `${parsed.errorType}: ${parsed.error}` : parsed.error);
  if (status < 200 || status > 299) return refuse(`status ${status}: ${text.slice(0, 500)}`);
  const { resultType, result } = parsed.data ?? {};
  const warnings = Array.isArray(parsed.warnings) ? parsed.warnings.map(String) : [];
  switch (resultType) {
    case 'vector':
      if (!Array.isArray(result)) return refuse('the vector of the answer is no list');
      return { samples: result.map(readSample), warnings };
    case 'scalar':
      return { samples: [{ labels: [], value: readPoint(result) }], warnings };
    default:
      return refuse(`expected an instant vector or a scalar, got ${typeof resultType === 'string' ? resultType : 'an answer without result type'}`);
  }
}

function readSample(entry: unknown): VectorSample {
  const { metric, value, histogram } = (entry ?? {}) as { metric?: unknown; value?: unknown; histogram?: unknown };
  if (histogram !== undefined) throw new RulerError('ERR_QUERY', 'the result has native histograms, which rules cannot record yet');
  if (typeof metric !== 'object' || metric === null) throw new RulerError('ERR_QUERY', 'an element of the answer has no labels');
  return { labels: readLabels(metric), value: readPoint(value) };
}

function readLabels(map: object): Labels {
  return labelsFromMap(new Map(Object.entries(map).map(([name, value]) => [name, String(value)])));
}

/** `[time, "text"]`; the time is that of the evaluation. */
function readPoint(point: unknown): number {
  const text: unknown = Array.isArray(point) ? point[1] : undefined;
  switch (text) {
    case 'NaN':
      return Number.NaN;
    case '+Inf':
    case 'Inf':
      return Number.POSITIVE_INFINITY;
    case '-Inf':
      return Number.NEGATIVE_INFINITY;
    default: {
      const value = typeof text === 'string' && text.trim() !== '' ? Number(text) : Number.NaN;
      if (Number.isNaN(value)) throw new RulerError('ERR_QUERY', `an element of the answer has no value: ${JSON.stringify(point)?.slice(0, 100)}`);
      return value;
    }
  }
}

/** Reads `/api/v1/stores`. @returns undefined if it is something else */
function readStores(text: string): readonly KnownStore[] | undefined {
  let data: unknown;
  try {
    data = (JSON.parse(text) as { data?: unknown } | null)?.data;
  } catch {
    return undefined;
  }
  if (typeof data !== 'object' || data === null || Array.isArray(data)) return undefined;
  return Object.entries(data).flatMap(([component, stores]) =>
    (Array.isArray(stores) ? stores : []).map((store: { name?: unknown; lastError?: unknown; labelSets?: unknown }): KnownStore => ({
      name: String(store.name),
      component,
      isUp: store.lastError === null || store.lastError === undefined,
      labelSets: Array.isArray(store.labelSets) ? store.labelSets.filter((set): set is object => typeof set === 'object' && set !== null).map(readLabels) : [],
    })),
  );
}

/** One server: its reason. Several with the same reason: that reason. Else each with its reason. */
function noAnswerText(reasons: ReadonlyMap<string, string>): string {
  if (reasons.size === 0) return 'no query API server is known: --query, --query.sd-files or --query.config has no address now';
  const distinct = new Set(reasons.values());
  if (distinct.size === 1) return [...distinct][0]!;
  return `no query API server gave an answer: ${[...reasons].map(([endpoint, reason]) => `${endpoint}: ${reason}`).join('; ')}`.slice(0, REASON_CHARACTERS_MAX);
}

function shuffled<T>(items: readonly T[], random: () => number): T[] {
  const order = [...items];
  for (let i = order.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    [order[i], order[j]] = [order[j]!, order[i]!];
  }
  return order;
}
