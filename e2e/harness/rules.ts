/**
 * What a ruler is tested with: a target whose gauges a test sets, a query API whose every value is another one, and the rules of the
 * HTTP API as a test reads them.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { getApi } from './api.ts';

/** A server of this file. */
export interface LoopbackServer {
  /** `127.0.0.1:port` */
  readonly address: string;
  readonly url: string;
  stop(): Promise<void>;
}

async function listen(answer: (request: IncomingMessage, body: string, response: ServerResponse) => void): Promise<LoopbackServer> {
  const server: Server = createServer((request, response) => {
    const pieces: Buffer[] = [];
    request.on('data', (piece: Buffer) => pieces.push(piece));
    request.on('end', () => answer(request, Buffer.concat(pieces).toString('utf8'), response));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    address,
    url: `http://${address}`,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** A target of Prometheus. */
export interface GaugeTarget extends LoopbackServer {
  /** Series as in the text format (`gate{door="a"}`) → its value, or what computes it at each scrape. */
  readonly gauges: Map<string, number | (() => number)>;
}

/** Serves gauges on `/metrics`. */
export async function startGaugeTarget(gauges: GaugeTarget['gauges']): Promise<GaugeTarget> {
  const server = await listen((_request, _body, response) => {
    const lines = [...gauges].map(([series, value]) => `${series} ${typeof value === 'number' ? value : value()}\n`);
    response.writeHead(200, { 'Content-Type': 'text/plain; version=0.0.4' }).end(lines.join(''));
  });
  return { ...server, gauges };
}

/**
 * A query API that answers each instant query with the same series, `{n="0"} … {n="<count − 1>"}`, and values no two of which are equal:
 * a sample that is found again is the very one that was answered.
 */
export function startUniqueQuerier(count: number): Promise<LoopbackServer> {
  let answered = 0;
  return listen((request, body, response) => {
    const url = new URL(request.url ?? '/', 'http://querier');
    if (url.pathname !== '/api/v1/query') {
      response.writeHead(404, { 'Content-Type': 'application/json' }).end('{"status":"error","errorType":"not_found","error":"no such path"}');
      return;
    }
    const at = Date.parse(new URLSearchParams(request.method === 'POST' ? body : url.search).get('time') ?? '') / 1000;
    // Thirds, so that values need all their bits.
    const result = Array.from({ length: count }, (_, n) => ({ metric: { n: String(n) }, value: [at, String(++answered / 3)] }));
    response.writeHead(200, { 'Content-Type': 'application/json' }).end(JSON.stringify({ status: 'success', data: { resultType: 'vector', result } }));
  });
}

/** An alert of the rules API. */
export interface ApiAlert {
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly state: string;
  readonly activeAt: string;
  readonly value: string;
}

/** A rule of the rules API. */
export interface ApiRule {
  readonly name: string;
  readonly query: string;
  readonly type: 'alerting' | 'recording';
  readonly labels: Readonly<Record<string, string>>;
  readonly health: string;
  readonly lastError?: string;
  readonly lastEvaluation: string;
  /** Of alerting rules. */
  readonly state?: string;
  /** Of alerting rules. */
  readonly alerts?: readonly ApiAlert[];
}

/** A group of the rules API. */
export interface ApiGroup {
  readonly name: string;
  readonly file: string;
  readonly rules: readonly ApiRule[];
}

/** All groups of a ruler or a querier. */
export async function groupsOf(url: string): Promise<readonly ApiGroup[]> {
  return (await getApi<{ readonly groups: readonly ApiGroup[] }>(url, 'rules')).data.groups;
}

/** The first rule of this name. @throws when there is none */
export async function ruleOf(url: string, name: string): Promise<ApiRule> {
  const rule = (await groupsOf(url)).flatMap(({ rules }) => rules).find((one) => one.name === name);
  if (rule === undefined) throw new Error(`${url} has no rule ${name}`);
  return rule;
}
