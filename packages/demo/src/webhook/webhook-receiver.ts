/**
 * Where the demo's alerts arrive: takes the webhooks of an Alertmanager, writes one line for each alert and keeps the last ones.
 *
 *   POST any path   an Alertmanager webhook (version 4)     200, or 400 and 413 with a reason
 *   GET /alerts     what is kept, oldest first, as JSON: [{receivedAt, path, receiver, status, labels, annotations, startsAt, endsAt}]
 *   GET /-/healthy
 *
 * Source: Alertmanager docs, "Configuration", webhook_config.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { type Listening, listenOn } from '../listen-on.ts';

/** Longest body that is taken. */
export const WEBHOOK_BYTES_MAX: number = 1024 * 1024;

/** An alert as it was told. */
export interface ReceivedAlert {
  /** RFC 3339. */
  readonly receivedAt: string;
  /** Path of the request: tells receivers apart. */
  readonly path: string;
  /** Receiver of the Alertmanager's configuration. */
  readonly receiver: string;
  readonly status: 'firing' | 'resolved';
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly startsAt: string;
  readonly endsAt: string;
}

/** How it runs. */
export interface WebhookOptions {
  readonly host: string;
  /** 0 picks a free port. */
  readonly port: number;
  /** Alerts that are kept; older ones are forgotten. */
  readonly alertsMax: number;
  /** Milliseconds since 1970. */
  readonly clock: () => number;
  /** Takes the line of an alert. */
  readonly say: (line: string) => void;
}

/** Starts the receiver. @throws the listen error of Node when the address cannot be bound */
export async function startWebhookReceiver({ host, port, alertsMax, clock, say }: WebhookOptions): Promise<Listening> {
  const kept: ReceivedAlert[] = [];
  const server = createServer((request, response) => {
    const path = (request.url ?? '/').split('?')[0]!;
    if (request.method === 'POST') {
      receive(request, path, new Date(clock()).toISOString()).then(
        (alerts) => {
          for (const alert of alerts) say(alertLine(alert));
          kept.push(...alerts);
          kept.splice(0, kept.length - alertsMax);
          answer(response, 200, 'text/plain', 'OK\n');
        },
        (error: unknown) => answer(response, error instanceof RefusedBody ? error.httpStatus : 400, 'text/plain', `${error instanceof Error ? error.message : String(error)}\n`),
      );
    } else if (path === '/alerts') answer(response, 200, 'application/json', `${JSON.stringify(kept)}\n`);
    else if (path === '/-/healthy' || path === '/-/ready') answer(response, 200, 'text/plain', 'OK\n');
    else answer(response, 404, 'text/plain', 'not here; what arrived is at /alerts, webhooks are posted to any path\n');
  });
  return listenOn(server, host, port);
}

class RefusedBody extends Error {
  readonly httpStatus: number;
  constructor(httpStatus: number, message: string) {
    super(message);
    this.httpStatus = httpStatus;
  }
}

function answer(response: ServerResponse, status: number, type: string, body: string): void {
  response.writeHead(status, { 'Content-Type': `${type}; charset=utf-8`, ...(status === 413 ? { Connection: 'close' } : {}) }).end(body);
}

async function receive(request: IncomingMessage, path: string, receivedAt: string): Promise<ReceivedAlert[]> {
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of request as AsyncIterable<Buffer>) {
    bytes += part.length;
    if (bytes > WEBHOOK_BYTES_MAX) throw new RefusedBody(413, `webhook to ${path}: more than ${WEBHOOK_BYTES_MAX} bytes`);
    parts.push(part);
  }
  let body: unknown;
  try {
    body = JSON.parse(Buffer.concat(parts).toString('utf8'));
  } catch (error) {
    throw new RefusedBody(400, `webhook to ${path}: not JSON (${(error as Error).message})`);
  }
  const message = objectOf(body);
  const alerts = message?.['alerts'];
  if (message === undefined || !Array.isArray(alerts)) throw new RefusedBody(400, `webhook to ${path}: no list of alerts`);
  return alerts.map((item: unknown, index) => {
    const alert = objectOf(item);
    const status = alert?.['status'];
    if (alert === undefined || (status !== 'firing' && status !== 'resolved')) throw new RefusedBody(400, `webhook to ${path}: alert ${index} is neither firing nor resolved`);
    return {
      receivedAt,
      path,
      receiver: textOf(message['receiver']),
      status,
      labels: textsOf(alert['labels']),
      annotations: textsOf(alert['annotations']),
      startsAt: textOf(alert['startsAt']),
      endsAt: textOf(alert['endsAt']),
    };
  });
}

const objectOf = (value: unknown): Record<string, unknown> | undefined => (typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : undefined);
const textOf = (value: unknown): string => (typeof value === 'string' ? value : '');

/** Own string members alone, in an object without prototype: keys come from outside. */
function textsOf(value: unknown): Record<string, string> {
  const texts = Object.create(null) as Record<string, string>;
  for (const [key, text] of Object.entries(objectOf(value) ?? {})) if (typeof text === 'string') texts[key] = text;
  return texts;
}

/** `2026-01-01T00:00:00.000Z firing HighErrorRate severity=critical receiver=page: summary` */
function alertLine({ receivedAt, receiver, status, labels, annotations }: ReceivedAlert): string {
  const shown = Object.entries(labels).filter(([name]) => name !== 'alertname').map(([name, value]) => `${name}=${JSON.stringify(value)}`);
  const summary = annotations['summary'] ?? '';
  return [receivedAt, status, JSON.stringify(labels['alertname'] ?? ''), ...shown, `receiver=${JSON.stringify(receiver)}`, ...(summary === '' ? [] : [`summary=${JSON.stringify(summary)}`])].join(' ');
}
