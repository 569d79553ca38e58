/**
 * The calls a sidecar makes to its Prometheus over HTTP. Failures of API calls become StoreErrors with the status that peers expect
 * (400 InvalidArgument, 404 NotFound, 422 Internal, 503 Unavailable, else Internal).
 * Source of behaviour: Thanos pkg/promclient/promclient.go.
 */
import { type ClientRequest, type IncomingMessage, request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { createGunzip } from 'node:zlib';
import { snappyEncode } from '@gauntlet/bytes';
import { formatMatcher, type LabelQuery, type Labels, labelsFromMap } from '@gauntlet/model';
import { MAX_TIME_MS, MIN_TIME_MS, READ_RESPONSE_TYPE, type ReadQuery, readRequest } from '@gauntlet/proto';
import { StoreError, type StoreErrorCode } from '@gauntlet/storeapi';
import { SidecarError } from './errors.ts';
import { basicAuth, type PrometheusTransport } from './prometheus-transport.ts';

/** Most bytes of an API answer that are read; label and series answers of large servers reach hundreds of MB. */
const ANSWER_BYTES_MAX = 1 << 30;
const USER_AGENT = 'gauntlet-sidecar';

/** A raw answer whose body has not been read. */
export interface PrometheusAnswer {
  readonly status: number;
  readonly statusText: string;
  readonly contentType: string;
  /** Decompressed; leaving the loop early ends the request. */
  readonly body: AsyncIterable<Uint8Array>;
}

/** Client of one Prometheus. */
export class PrometheusClient {
  readonly #base: URL;
  readonly #transport: PrometheusTransport;

  /** @param base may carry a path prefix, which goes before all paths */
  constructor(base: URL, transport: PrometheusTransport) {
    this.#base = base;
    this.#transport = transport;
  }

  /** Names of labels, sorted as Prometheus does. */
  async labelNames(query: LabelQuery): Promise<readonly string[]> {
    return (await this.#labelCall('/api/v1/labels', query)) as string[];
  }

  async labelValues(name: string, query: LabelQuery): Promise<readonly string[]> {
    return (await this.#labelCall(`/api/v1/label/${encodeURIComponent(name)}/values`, query)) as string[];
  }

  /** Label sets, in no order. */
  async series(query: LabelQuery): Promise<readonly Labels[]> {
    return ((await this.#labelCall('/api/v1/series', query)) as Record<string, string>[]).map((map) => labelsFromMap(new Map(Object.entries(map))));
  }

  /** MIN_TIME_MS and MAX_TIME_MS are left out: Prometheus then takes its own limits. */
  #labelCall(path: string, { matchers, mint, maxt, limit, signal }: LabelQuery): Promise<unknown> {
    const query: [string, string][] = [];
    if (maxt < MAX_TIME_MS) query.push(['end', String(maxt / 1000)]);
    if (limit > 0) query.push(['limit', String(limit)]);
    if (matchers.length > 0) query.push(['match[]', `{${matchers.map(formatMatcher).join(', ')}}`]);
    if (mint > MIN_TIME_MS) query.push(['start', String(mint / 1000)]);
    return this.get(path, query, signal);
  }

  /** Loaded configuration file, as YAML. */
  async config(signal?: AbortSignal): Promise<string> {
    const { yaml } = (await this.get('/api/v1/status/config', [], signal)) as { yaml?: unknown };
    if (typeof yaml !== 'string') throw new SidecarError('ERR_SIDECAR_PROMETHEUS', 'read configuration of Prometheus: the answer has no yaml');
    return yaml;
  }

  /** Version; `0` for releases before it could be asked, as for a build without one. */
  async version(signal?: AbortSignal): Promise<string> {
    try {
      const { version } = (await this.get('/api/v1/status/buildinfo', [], signal)) as { version?: unknown };
      return typeof version === 'string' && version !== '' ? version : '0';
    } catch (error) {
      if (error instanceof PrometheusStatusError && (error.status === 404 || error.status === 405)) return '0';
      throw error;
    }
  }

  /** Command-line flags; `undefined` for releases before they could be asked. */
  async flags(signal?: AbortSignal): Promise<ReadonlyMap<string, string> | undefined> {
    try {
      return new Map(Object.entries((await this.get('/api/v1/status/flags', [], signal)) as Record<string, string>));
    } catch (error) {
      if (error instanceof PrometheusStatusError && error.status === 404) return undefined;
      throw error;
    }
  }

  /** First timestamp in the database, ms, from its own metrics; MIN_TIME_MS if it has none yet. @throws SidecarError if the gauge is missing */
  async lowestTimestampMs(signal?: AbortSignal): Promise<number> {
    const answer = await this.request('GET', '/metrics', [], {}, undefined, signal);
    const text = await readText(answer);
    if (answer.status !== 200) throw new PrometheusStatusError(answer, text);
    const line = /^prometheus_tsdb_lowest_timestamp_seconds(?:\{[^}]*\})? (\S+)/m.exec(text);
    const value = Number(line?.[1]);
    if (line === null || Number.isNaN(value)) throw new SidecarError('ERR_SIDECAR_PROMETHEUS', 'read metrics of Prometheus: prometheus_tsdb_lowest_timestamp_seconds is missing');
    const ms = value * 1000;
    // A database without samples reports the largest integer. Its begin is open: samples come before the next look.
    return ms >= MAX_TIME_MS || ms <= MIN_TIME_MS ? MIN_TIME_MS : Math.trunc(ms);
  }

  /** Starts a remote read that prefers streamed chunks over samples. The caller checks status and content type. */
  remoteRead(query: ReadQuery, signal?: AbortSignal): Promise<PrometheusAnswer> {
    const request = { queries: [query], acceptedResponseTypes: [READ_RESPONSE_TYPE.streamedXorChunks, READ_RESPONSE_TYPE.samples] };
    const headers = { 'Content-Encoding': 'snappy', 'Content-Type': 'application/x-stream-protobuf', 'X-Prometheus-Remote-Read-Version': '0.1.0' };
    return this.request('POST', '/api/v1/read', [], headers, snappyEncode(readRequest.encode(request)), signal);
  }

  /**
   * `data` of an API answer.
   * @param query parameters in the order they are to have
   * @throws PrometheusStatusError, a StoreError, unless the status is 2xx and the answer a success
   */
  async get(path: string, query: readonly (readonly [string, string])[], signal?: AbortSignal): Promise<unknown> {
    const answer = await this.request('GET', path, query, {}, undefined, signal);
    const text = await readText(answer);
    if (answer.status < 200 || answer.status > 299) throw new PrometheusStatusError(answer, text);
    let parsed: { status?: unknown; data?: unknown; error?: unknown };
    try {
      parsed = JSON.parse(text) as typeof parsed;
    } catch (error) {
      throw new StoreError('ERR_STORE_INTERNAL', `read ${path} of Prometheus: not JSON: ${text.slice(0, 200)}`, { cause: error });
    }
    if (parsed.status !== 'success') throw new StoreError('ERR_STORE_INTERNAL', `read ${path} of Prometheus: ${String(parsed.error ?? parsed.status)}`);
    return parsed.data;
  }

  /** Any request. Rejects if there is no answer; every status is an answer. */
  request(
    method: string,
    path: string,
    query: readonly (readonly [string, string])[],
    headers: Readonly<Record<string, string>>,
    body: Uint8Array | undefined,
    signal: AbortSignal | undefined,
  ): Promise<PrometheusAnswer> {
    const url = new URL(this.#base);
    url.pathname = url.pathname.replace(/\/$/, '') + path;
    url.search = new URLSearchParams(query.map((pair): [string, string] => [...pair])).toString();
    const isTls = url.protocol === 'https:';
    const authorization = this.#transport.authorization() ?? (this.#base.username === '' ? undefined : basicAuth(decodeURIComponent(this.#base.username), decodeURIComponent(this.#base.password)));
    return new Promise((resolve, reject) => {
      const fail = (cause: Error): void => {
        if (signal?.aborted === true) reject(signal.reason as Error);
        else reject(new StoreError('ERR_STORE_UNAVAILABLE', `${method} ${this.#base.origin}${url.pathname}: ${cause.message}`, { cause }));
      };
      const request: ClientRequest = (isTls ? httpsRequest : httpRequest)(
        url,
        {
          method,
          agent: isTls ? this.#transport.httpsAgent : this.#transport.httpAgent,
          headers: {
            'User-Agent': USER_AGENT,
            'Accept-Encoding': 'gzip',
            ...(authorization === undefined ? {} : { Authorization: authorization }),
            ...headers,
          },
        },
        (response) => {
          clearTimeout(timer);
          // The reader of the body sees errors; this is for those that come when nobody reads.
          response.on('error', () => {});
          response.on('close', () => signal?.removeEventListener('abort', onAbort));
          resolve({
            status: response.statusCode ?? 0,
            statusText: response.statusMessage ?? '',
            contentType: response.headers['content-type'] ?? '',
            body: readBody(response, signal),
          });
        },
      );
      const { headerTimeoutMs } = this.#transport;
      const timer = headerTimeoutMs > 0 ? setTimeout(() => request.destroy(new Error(`no answer within ${headerTimeoutMs} ms`)), headerTimeoutMs) : undefined;
      // Without an error: a socket that went back to the pool has nobody to hear it.
      const onAbort = (): void => void request.destroy();
      if (signal?.aborted === true) onAbort();
      else signal?.addEventListener('abort', onAbort, { once: true });
      request.on('error', (error) => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', onAbort);
        fail(error);
      });
      request.end(body);
    });
  }

  /** Ends idle connections. */
  close(): void {
    this.#transport.httpAgent.destroy();
    this.#transport.httpsAgent.destroy();
  }
}

/** Prometheus answered with a status that is no success. */
export class PrometheusStatusError extends StoreError {
  readonly status: number;

  constructor(answer: PrometheusAnswer, body: string) {
    super(codeOf(answer.status), `expected 2xx response, got ${answer.status}. Body: ${body}`);
    this.status = answer.status;
  }
}

function codeOf(status: number): StoreErrorCode {
  switch (status) {
    case 400:
      return 'ERR_STORE_INVALID_ARGUMENT';
    case 404:
      return 'ERR_STORE_NOT_FOUND';
    case 503:
      return 'ERR_STORE_UNAVAILABLE';
    default:
      return 'ERR_STORE_INTERNAL';
  }
}

async function* readBody(response: IncomingMessage, signal: AbortSignal | undefined): AsyncGenerator<Uint8Array> {
  let gunzip: ReturnType<typeof createGunzip> | undefined;
  const isGzip = response.headers['content-encoding'] === 'gzip';
  const stream = isGzip ? response.on('error', (error) => gunzip!.destroy(error)).pipe((gunzip = createGunzip())) : response;
  try {
    for await (const piece of stream as AsyncIterable<Buffer>) yield new Uint8Array(piece.buffer, piece.byteOffset, piece.length);
    if (!response.complete) throw new Error('the connection ended before the answer did');
  } catch (error) {
    signal?.throwIfAborted();
    throw new StoreError('ERR_STORE_UNAVAILABLE', `read answer of Prometheus: ${(error as Error).message}`, { cause: error });
  } finally {
    if (!response.complete) response.destroy();
  }
}

/** A whole body as text. */
export async function readText(answer: PrometheusAnswer): Promise<string> {
  const pieces: Uint8Array[] = [];
  let bytes = 0;
  for await (const piece of answer.body) {
    bytes += piece.length;
    if (bytes > ANSWER_BYTES_MAX) throw new StoreError('ERR_STORE_RESOURCE_EXHAUSTED', `read answer of Prometheus: more than ${ANSWER_BYTES_MAX} bytes`);
    pieces.push(piece);
  }
  return Buffer.concat(pieces).toString('utf8');
}
