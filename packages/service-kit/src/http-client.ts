/**
 * Requests to HTTP servers with pooled connections, credentials and TLS from {@link HttpClientSettings}. Every status is an answer; only
 * a request without an answer is an error. TLS files are looked at again every 5 s and new material serves the next connection.
 */
import { readFileSync } from 'node:fs';
import { Agent as HttpAgent, type ClientRequest, type IncomingMessage, request as httpRequest } from 'node:http';
import { Agent as HttpsAgent, type AgentOptions, request as httpsRequest } from 'node:https';
import { createGunzip } from 'node:zlib';
import { ServiceKitError, errorText } from './errors.ts';
import type { HttpClientSettings, HttpCredentials } from './http-client-config.ts';

/** Time between looks at TLS files. */
const TLS_LOOK_MS = 5000;

/** One request. */
export interface HttpClientRequest {
  readonly method: 'GET' | 'POST';
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
  /** Most time for the whole answer, ms. */
  readonly timeoutMs: number;
  /** Most bytes of the answer, decompressed. */
  readonly bytesMax: number;
  readonly signal?: AbortSignal;
}

/** A whole answer. */
export interface HttpClientAnswer {
  readonly status: number;
  /** `200 OK`. */
  readonly statusText: string;
  readonly contentType: string;
  /** The body as text. */
  readonly text: string;
}

/** See {@link createHttpClient}. */
export interface HttpClient {
  /** @throws ServiceKitError ERR_HTTP without an answer, with one that is too large or that ends early · the signal's reason */
  request(url: string, request: HttpClientRequest): Promise<HttpClientAnswer>;
  /** Ends idle connections. */
  close(): void;
}

/** What {@link createHttpClient} needs. */
export interface HttpClientDeps {
  readonly userAgent: string;
  /** Unix ms. */
  readonly clock: () => number;
}

/** Makes a client. @throws ServiceKitError ERR_TLS for TLS files that cannot be read */
export function createHttpClient(settings: HttpClientSettings, deps: HttpClientDeps): HttpClient {
  return new PooledClient(settings, deps);
}

interface TlsTexts {
  readonly ca: string | undefined;
  readonly cert: string | undefined;
  readonly key: string | undefined;
}

class PooledClient implements HttpClient {
  readonly #settings: HttpClientSettings;
  readonly #deps: HttpClientDeps;
  readonly #httpAgent: HttpAgent;
  #httpsAgent: HttpsAgent;
  #tls: TlsTexts;
  #lookedMs: number;

  constructor(settings: HttpClientSettings, deps: HttpClientDeps) {
    this.#settings = settings;
    this.#deps = deps;
    this.#httpAgent = new HttpAgent(this.#pool());
    this.#tls = this.#readTls();
    this.#lookedMs = deps.clock();
    this.#httpsAgent = this.#tlsAgent();
  }

  async request(url: string, request: HttpClientRequest): Promise<HttpClientAnswer> {
    const target = new URL(url);
    const { signal } = request;
    signal?.throwIfAborted();
    const ending = new AbortController();
    const timer = setTimeout(() => ending.abort(new Error(`no answer within ${request.timeoutMs} ms`)), request.timeoutMs);
    const onAbort = (): void => ending.abort(signal?.reason);
    signal?.addEventListener('abort', onAbort, { once: true });
    try {
      const response = await this.#send(target, request, ending.signal);
      const text = await readText(response, request.bytesMax, ending.signal);
      return { status: response.statusCode ?? 0, statusText: `${response.statusCode} ${response.statusMessage ?? ''}`.trim(), contentType: response.headers['content-type'] ?? '', text };
    } catch (error) {
      signal?.throwIfAborted();
      const cause = ending.signal.aborted ? (ending.signal.reason as Error) : error;
      throw new ServiceKitError('ERR_HTTP', `${request.method} ${target.origin}${target.pathname}: ${errorText(cause)}`, cause);
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
    }
  }

  close(): void {
    this.#httpAgent.destroy();
    this.#httpsAgent.destroy();
  }

  #send(target: URL, { method, headers, body }: HttpClientRequest, signal: AbortSignal): Promise<IncomingMessage> {
    const isTls = target.protocol === 'https:';
    if (isTls) this.#refreshTls();
    const { credentials, headerTimeoutMs, compression } = this.#settings;
    const authorization = httpAuthorization(credentials);
    return new Promise((resolve, reject) => {
      const request: ClientRequest = (isTls ? httpsRequest : httpRequest)(target, {
        method,
        signal,
        agent: isTls ? this.#httpsAgent : this.#httpAgent,
        headers: {
          'User-Agent': this.#deps.userAgent,
          ...(compression ? { 'Accept-Encoding': 'gzip' } : {}),
          ...(authorization === undefined ? {} : { Authorization: authorization }),
          ...(body === undefined ? {} : { 'Content-Length': String(Buffer.byteLength(body)) }),
          ...headers,
        },
      });
      const timer = headerTimeoutMs > 0 ? setTimeout(() => request.destroy(new Error(`no head of an answer within ${headerTimeoutMs} ms`)), headerTimeoutMs) : undefined;
      request.once('close', () => clearTimeout(timer));
      request.on('error', reject);
      request.once('response', (response) => {
        clearTimeout(timer);
        resolve(response);
      });
      request.end(body);
    });
  }

  #pool(): AgentOptions {
    const { freeSocketsMax, socketsMax, idleTimeoutMs } = this.#settings;
    return { keepAlive: true, maxFreeSockets: freeSocketsMax, maxSockets: socketsMax || Infinity, timeout: idleTimeoutMs };
  }

  #tlsAgent(): HttpsAgent {
    const { serverName, skipVerify } = this.#settings.tls;
    const { ca, cert, key } = this.#tls;
    return new HttpsAgent({
      ...this.#pool(),
      minVersion: 'TLSv1.2',
      rejectUnauthorized: !skipVerify,
      ...(ca === undefined ? {} : { ca }),
      ...(cert === undefined ? {} : { cert }),
      ...(key === undefined ? {} : { key }),
      ...(serverName === '' ? {} : { servername: serverName }),
    });
  }

  #readTls(): TlsTexts {
    const { caFile, certFile, keyFile } = this.#settings.tls;
    const read = (path: string): string | undefined => {
      if (path === '') return undefined;
      try {
        return readFileSync(path, 'utf8');
      } catch (error) {
        throw new ServiceKitError('ERR_TLS', `read TLS file ${path}: ${errorText(error)}`, error);
      }
    };
    return { ca: read(caFile), cert: read(certFile), key: read(keyFile) };
  }

  /** A file that cannot be read now leaves the material as it is: it may be in the middle of being replaced. */
  #refreshTls(): void {
    const nowMs = this.#deps.clock();
    if (nowMs - this.#lookedMs < TLS_LOOK_MS) return;
    this.#lookedMs = nowMs;
    let next: TlsTexts;
    try {
      next = this.#readTls();
    } catch {
      return;
    }
    if (next.ca === this.#tls.ca && next.cert === this.#tls.cert && next.key === this.#tls.key) return;
    this.#tls = next;
    const old = this.#httpsAgent;
    this.#httpsAgent = this.#tlsAgent();
    // Idle connections go; those in use end with their request.
    for (const sockets of Object.values(old.freeSockets)) for (const socket of sockets ?? []) socket.destroy();
  }
}

/** Value of an Authorization header; undefined for none. @throws ServiceKitError ERR_FILE_READ for a credentials file */
export function httpAuthorization(credentials: HttpCredentials): string | undefined {
  switch (credentials.kind) {
    case 'none':
      return undefined;
    case 'basic':
      return basic(credentials.username, credentials.password);
    case 'basicFile':
      return basic(credentials.username, readSecret(credentials.passwordFile));
    case 'bearer':
      return bearer(credentials.token);
    case 'bearerFile':
      return bearer(readSecret(credentials.tokenFile));
  }
}

const bearer = (token: string): string | undefined => (token === '' ? undefined : `Bearer ${token}`);
const basic = (username: string, password: string): string => `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;

function readSecret(path: string): string {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch (error) {
    throw new ServiceKitError('ERR_FILE_READ', `read credentials file ${path}: ${errorText(error)}`, error);
  }
}

async function readText(response: IncomingMessage, bytesMax: number, signal: AbortSignal): Promise<string> {
  const isGzip = response.headers['content-encoding'] === 'gzip';
  const gunzip = isGzip ? createGunzip() : undefined;
  const stream = gunzip === undefined ? response : response.on('error', (error) => gunzip.destroy(error)).pipe(gunzip);
  const pieces: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const piece of stream as AsyncIterable<Buffer>) {
      signal.throwIfAborted();
      bytes += piece.length;
      if (bytes > bytesMax) throw new Error(`the answer has more than ${bytesMax} bytes`);
      pieces.push(piece);
    }
    if (!response.complete) throw new Error('the connection ended before the answer did');
  } finally {
    if (!response.complete) response.destroy();
    gunzip?.destroy();
  }
  return Buffer.concat(pieces).toString('utf8');
}
