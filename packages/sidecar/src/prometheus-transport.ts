/** How requests reach Prometheus: agents and credentials, made in each thread that asks it from settings that are plain data. */
import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent, type AgentOptions } from 'node:https';
import { httpAuthorization, type HttpCredentials } from '@gauntlet/service-kit/worker';

/** What a transport is made of; it can be sent to another thread, and holds secrets in the clear. */
export interface TransportSettings {
  /** Files are read anew for each request, since they may change. */
  readonly credentials: HttpCredentials;
  /** Contents of files, PEM. */
  readonly tls: { readonly ca?: string; readonly cert?: string; readonly key?: string; readonly servername?: string; readonly rejectUnauthorized: boolean };
  readonly freeSocketsMax: number;
  /** 0 has no limit. */
  readonly socketsMax: number;
  readonly idleTimeoutMs: number;
  /** Most time until the head of an answer, ms; 0 has no limit. */
  readonly headerTimeoutMs: number;
}

/** How to talk to Prometheus. */
export interface PrometheusTransport {
  readonly httpAgent: HttpAgent;
  readonly httpsAgent: HttpsAgent;
  /** Value of the Authorization header, read anew for each request since files may change; `undefined` for none. */
  authorization(): string | undefined;
  /** Most time until the head of an answer, ms; 0 has no limit. */
  readonly headerTimeoutMs: number;
}

/** Makes a transport; its agents belong to the calling thread. */
export function openTransport({ credentials, tls, freeSocketsMax, socketsMax, idleTimeoutMs, headerTimeoutMs }: TransportSettings): PrometheusTransport {
  const pool: AgentOptions = { keepAlive: true, maxFreeSockets: freeSocketsMax, maxSockets: socketsMax || Infinity, timeout: idleTimeoutMs };
  return {
    httpAgent: new HttpAgent(pool),
    httpsAgent: new HttpsAgent({ ...pool, minVersion: 'TLSv1.2', ...tls }),
    headerTimeoutMs,
    authorization: () => httpAuthorization(credentials),
  };
}

/** Value of an Authorization header. */
export function basicAuth(username: string, password: string): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
}
