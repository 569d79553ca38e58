/**
 * A client for the HTTP API of Prometheus and of Thanos: what a sidecar needs of the Prometheus beside it, and queries for whoever has no StoreAPI.
 * Source: Prometheus docs/querying/api.md; Thanos pkg/promclient/promclient.go.
 */
import { type Labels, labelsFromMap, type Matcher, formatMatcher } from '@gauntlet/model';
import { type ConfigReader, decodeYaml, type Schema, schema, type YamlNode } from '@gauntlet/service-kit';
import { HttpApiError } from './errors.ts';
import type { BuildInfoJson, FlagsJson, LabelsJson, QueryDataJson } from './types.ts';

export interface PrometheusClientOptions {
  /** `http://127.0.0.1:9090/prefix`; a path is kept, a trailing slash does not matter. */
  readonly baseUrl: string;
  /** Longest wait for one answer, ms; default 120,000. */
  readonly timeoutMs?: number;
  /** Sent with each request: authorization, tenant. */
  readonly headers?: Readonly<Record<string, string>>;
  /** The HTTP implementation; default the global `fetch`. */
  readonly fetch?: typeof fetch;
}

/** Data of an answer with what was said beside it. */
export interface ClientAnswer<T> {
  readonly data: T;
  /** Warnings and infos. */
  readonly warnings: readonly string[];
}

/** Part of the data a question is about. */
export interface ClientScope {
  /** All must match; several sets are united. */
  readonly matcherSets?: readonly (readonly Matcher[])[];
  /** ms since 1970, inclusive. */
  readonly startMs?: number;
  readonly endMs?: number;
  /** 0 = all. */
  readonly limit?: number;
}

/** Parameters of a query beside its text. */
export interface ClientQuery {
  readonly query: string;
  readonly signal?: AbortSignal;
  /** Further parameters as they are: `dedup`, `partial_response` … */
  readonly extra?: Readonly<Record<string, string>>;
}

/** Longest answer that is read, bytes. */
const ANSWER_BYTES_MAX = 256 << 20;

type Params = readonly (readonly [name: string, value: string])[];

function encodeForm(params: Params): URLSearchParams {
  const form = new URLSearchParams();
  for (const [name, value] of params) form.append(name, value);
  return form;
}

/** Matchers as a selector: `{a="b",c!="d"}`. */
export function formatSelector(matchers: readonly Matcher[]): string {
  return `{${matchers.map(formatMatcher).join(',')}}`;
}

function seconds(ms: number): string {
  return (ms / 1000).toFixed(3);
}

function scopeParams(scope: ClientScope): Params {
  const params: [string, string][] = (scope.matcherSets ?? []).map((matchers) => ['match[]', formatSelector(matchers)]);
  if (scope.startMs !== undefined) params.push(['start', seconds(scope.startMs)]);
  if (scope.endMs !== undefined) params.push(['end', seconds(scope.endMs)]);
  if (scope.limit !== undefined && scope.limit > 0) params.push(['limit', String(scope.limit)]);
  return params;
}

export interface PrometheusClient {
  /** `global.external_labels` of the running configuration. */
  externalLabels(signal?: AbortSignal): Promise<Labels>;
  buildInfo(signal?: AbortSignal): Promise<BuildInfoJson>;
  flags(signal?: AbortSignal): Promise<FlagsJson>;
  /** True if it answers `/-/ready`. */
  isReady(signal?: AbortSignal): Promise<boolean>;
  /** Evaluates at a time (ms). */
  query(query: ClientQuery & { readonly timeMs: number }): Promise<ClientAnswer<QueryDataJson>>;
  /** Evaluates from start to end, all ms. */
  queryRange(query: ClientQuery & { readonly startMs: number; readonly endMs: number; readonly stepMs: number }): Promise<ClientAnswer<QueryDataJson>>;
  series(scope: ClientScope, signal?: AbortSignal): Promise<ClientAnswer<readonly Labels[]>>;
  labelNames(scope: ClientScope, signal?: AbortSignal): Promise<ClientAnswer<readonly string[]>>;
  labelValues(name: string, scope: ClientScope, signal?: AbortSignal): Promise<ClientAnswer<readonly string[]>>;
}

/** Every call throws HttpApiError: ERR_UPSTREAM (unreachable, too slow, not this API), ERR_UPSTREAM_ANSWER (it said no), ERR_CANCELED. */
export function createPrometheusClient(options: PrometheusClientOptions): PrometheusClient {
  const base = options.baseUrl.replace(/\/+$/, '');
  const send = options.fetch ?? fetch;
  const timeoutMs = options.timeoutMs ?? 120_000;

  /** One request; the body as text with its status. */
  async function exchange(path: string, form: Params | undefined, signal: AbortSignal | undefined): Promise<{ readonly status: number; readonly text: string }> {
    const timeout = AbortSignal.timeout(timeoutMs);
    try {
      const response = await send(`${base}${path}`, {
        method: form === undefined ? 'GET' : 'POST',
        headers: { accept: 'application/json', ...options.headers },
        redirect: 'error',
        signal: signal === undefined ? timeout : AbortSignal.any([signal, timeout]),
        ...(form === undefined ? {} : { body: encodeForm(form) }),
      });
      return { status: response.status, text: await readText(response) };
    } catch (error) {
      if (error instanceof HttpApiError) throw error;
      if (signal?.aborted === true) throw new HttpApiError('ERR_CANCELED', `request ${base}${path}: canceled`, { cause: error });
      const reason = timeout.aborted ? `no answer within ${timeoutMs} ms` : reasonOf(error);
      throw new HttpApiError('ERR_UPSTREAM', `request ${base}${path}: ${reason}`, { cause: error });
    }
  }

  async function readText(response: Response): Promise<string> {
    if (response.body === null) return '';
    const decoder = new TextDecoder();
    let text = '';
    let bytes = 0;
    for await (const chunk of response.body as unknown as AsyncIterable<Uint8Array>) {
      bytes += chunk.length;
      if (bytes > ANSWER_BYTES_MAX) throw new HttpApiError('ERR_UPSTREAM', `read answer of ${response.url}: longer than ${ANSWER_BYTES_MAX} bytes`);
      text += decoder.decode(chunk, { stream: true });
    }
    return text + decoder.decode();
  }

  async function ask<T>(path: string, form: Params | undefined, signal: AbortSignal | undefined): Promise<ClientAnswer<T>> {
    const { status, text } = await exchange(path, form, signal);
    let answer: unknown;
    try {
      answer = JSON.parse(text);
    } catch {
      throw new HttpApiError('ERR_UPSTREAM', `request ${base}${path}: status ${status}, wanted JSON, got ${JSON.stringify(text.slice(0, 120))}`, { status });
    }
    const envelope = answer as { readonly status?: unknown; readonly data?: unknown; readonly error?: unknown; readonly warnings?: unknown; readonly infos?: unknown };
    if (typeof answer !== 'object' || answer === null || envelope.status !== 'success') {
      const said = typeof envelope?.error === 'string' ? envelope.error : JSON.stringify(text.slice(0, 120));
      throw new HttpApiError('ERR_UPSTREAM_ANSWER', `request ${base}${path}: status ${status}: ${said}`, { status });
    }
    return { data: envelope.data as T, warnings: [...strings(envelope.warnings), ...strings(envelope.infos)] };
  }

  const extras = (extra: Readonly<Record<string, string>> | undefined): Params => Object.entries(extra ?? {});

  return {
    async externalLabels(signal) {
      const { data } = await ask<{ readonly yaml?: unknown }>('/api/v1/status/config', undefined, signal);
      if (typeof data.yaml !== 'string') throw new HttpApiError('ERR_UPSTREAM', `request ${base}/api/v1/status/config: the answer has no yaml`);
      return externalLabelsOf(data.yaml);
    },
    async buildInfo(signal) {
      return (await ask<BuildInfoJson>('/api/v1/status/buildinfo', undefined, signal)).data;
    },
    async flags(signal) {
      return (await ask<FlagsJson>('/api/v1/status/flags', undefined, signal)).data;
    },
    async isReady(signal) {
      return (await exchange('/-/ready', undefined, signal)).status === 200;
    },
    query({ query, timeMs, signal, extra }) {
      return ask('/api/v1/query', [['query', query], ['time', seconds(timeMs)], ...extras(extra)], signal);
    },
    queryRange({ query, startMs, endMs, stepMs, signal, extra }) {
      return ask('/api/v1/query_range', [['query', query], ['start', seconds(startMs)], ['end', seconds(endMs)], ['step', seconds(stepMs)], ...extras(extra)], signal);
    },
    async series(scope, signal) {
      const { data, warnings } = await ask<readonly LabelsJson[]>('/api/v1/series', scopeParams(scope), signal);
      return { data: data.map(labelsFromMap), warnings };
    },
    labelNames(scope, signal) {
      return ask('/api/v1/labels', scopeParams(scope), signal);
    },
    labelValues(name, scope, signal) {
      const query = encodeForm(scopeParams(scope)).toString();
      return ask(`/api/v1/label/${encodeURIComponent(escapeLabelName(name))}/values${query === '' ? '' : `?${query}`}`, undefined, signal);
    },
  };
}

/** The `U__` form of a name that is no identifier; Prometheus takes it since 3.0. */
export function escapeLabelName(name: string): string {
  if (/^[a-zA-Z_][a-zA-Z0-9_]*$/.test(name)) return name;
  let escaped = 'U__';
  for (const char of name) escaped += char === '_' ? '__' : /[a-zA-Z0-9:]/.test(char) ? char : `_${char.codePointAt(0)!.toString(16)}_`;
  return escaped;
}

function strings(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((one) => typeof one === 'string') : [];
}

function reasonOf(error: unknown): string {
  const cause = (error as { readonly cause?: unknown }).cause;
  return cause instanceof Error ? cause.message || (cause as NodeJS.ErrnoException).code || cause.name : (error as Error).message;
}

/** Value of a key of a map; undefined if there is none. */
function member(node: YamlNode | undefined, reader: ConfigReader, key: string): YamlNode | undefined {
  if (node?.kind !== 'map') return undefined;
  for (const entry of reader.entries(node)) if (entry.key === key) return entry.value;
  return undefined;
}

const LABEL_MAP = schema.map(schema.withDefault(schema.string(), ''));

/** Another program's configuration: only the wanted part is decoded, the rest may be anything. */
const EXTERNAL_LABELS: Schema<ReadonlyMap<string, string>> = {
  wants: 'configuration of Prometheus',
  decode(node, reader) {
    const labels = member(member(node, reader, 'global'), reader, 'external_labels');
    return labels === undefined || labels.kind === 'null' ? new Map() : LABEL_MAP.decode(labels, reader);
  },
  absent: () => new Map(),
};

/**
 * `global.external_labels` of a Prometheus configuration; everything else in it is not looked at.
 * @throws HttpApiError ERR_UPSTREAM if it is no YAML, or these are no labels
 */
export function externalLabelsOf(yaml: string): Labels {
  try {
    return labelsFromMap(decodeYaml(yaml, EXTERNAL_LABELS, 'configuration of Prometheus'));
  } catch (error) {
    throw new HttpApiError('ERR_UPSTREAM', `read external labels: ${(error as Error).message}`, { cause: error });
  }
}
