/** Where Alertmanager tells of alerts: a webhook receiver on loopback that keeps what it is told. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

/** An alert of a notification. */
export interface NotifiedAlert {
  readonly status: 'firing' | 'resolved';
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly startsAt: string;
  readonly endsAt: string;
  readonly generatorURL: string;
}

/** A running receiver. */
export interface Webhook {
  readonly url: string;
  /** All alerts of all notifications, in the order they came. */
  readonly alerts: readonly NotifiedAlert[];
  stop(): Promise<void>;
}

/** Starts a receiver on a free port. */
export async function startWebhook(): Promise<Webhook> {
  const alerts: NotifiedAlert[] = [];
  const server = createServer((request, response) => {
    const pieces: Buffer[] = [];
    request.on('data', (piece: Buffer) => pieces.push(piece));
    request.on('end', () => {
      alerts.push(...(JSON.parse(Buffer.concat(pieces).toString('utf8')) as { readonly alerts: readonly NotifiedAlert[] }).alerts);
      response.end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    alerts,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
