import { describe, expect, test } from '@jest/globals';
import { type ReceivedAlert, startWebhookReceiver, WEBHOOK_BYTES_MAX } from './webhook-receiver.ts';

const NOW = Date.UTC(2026, 10, 21, 12);

async function withReceiver(body: (url: string, lines: string[]) => Promise<void>, alertsMax = 10): Promise<void> {
  const lines: string[] = [];
  const receiver = await startWebhookReceiver({ host: '127.0.0.1', port: 0, alertsMax, clock: () => NOW, say: (line) => void lines.push(line) });
  try {
    await body(`http://${receiver.address}`, lines);
  } finally {
    await receiver.stop();
  }
}

const webhook = (names: readonly string[], status = 'firing') => ({
  version: '4',
  receiver: 'page',
  status,
  alerts: names.map((alertname) => ({ status, labels: { alertname, severity: 'critical' }, annotations: { summary: 'a\nb' }, startsAt: '2026-11-21T11:59:00Z', endsAt: '0001-01-01T00:00:00Z' })),
});
const post = (url: string, body: unknown): Promise<Response> => fetch(url, { method: 'POST', body: typeof body === 'string' ? body : JSON.stringify(body) });
const kept = async (url: string): Promise<ReceivedAlert[]> => (await (await fetch(`${url}/alerts`)).json()) as ReceivedAlert[];

describe('the webhook receiver', () => {
  test('keeps what arrives and writes a line for each alert', () =>
    withReceiver(async (url, lines) => {
      expect((await post(`${url}/page`, webhook(['A', 'B']))).status).toBe(200);
      expect((await post(`${url}/page`, webhook(['A'], 'resolved'))).status).toBe(200);
      expect(await kept(url)).toMatchObject([
        { path: '/page', receiver: 'page', status: 'firing', labels: { alertname: 'A', severity: 'critical' }, annotations: { summary: 'a\nb' }, receivedAt: '2026-11-21T12:00:00.000Z' },
        { status: 'firing', labels: { alertname: 'B' } },
        { status: 'resolved', labels: { alertname: 'A' } },
      ]);
      expect(lines).toHaveLength(3);
      expect(lines[0]).toBe('2026-11-21T12:00:00.000Z firing "A" severity="critical" receiver="page" summary="a\\nb"');
    }));

  test('forgets the oldest', () =>
    withReceiver(async (url) => {
      for (let i = 0; i < 4; i++) await post(url, webhook([`A${i}`, `B${i}`]));
      expect((await kept(url)).map(({ labels }) => labels['alertname'])).toEqual(['B2', 'A3', 'B3']);
    }, 3));

  test.each([
    ['no JSON', '{', 400, 'webhook to /: not JSON ('],
    ['no object', 'null', 400, 'webhook to /: no list of alerts'],
    ['no alerts', { alerts: 3 }, 400, 'webhook to /: no list of alerts'],
    ['an alert without status', { alerts: [{ labels: {} }] }, 400, 'webhook to /: alert 0 is neither firing nor resolved'],
    ['too much', ' '.repeat(WEBHOOK_BYTES_MAX + 1), 413, `webhook to /: more than ${WEBHOOK_BYTES_MAX} bytes`],
  ])('%s is refused', (_name, body, status, text) =>
    withReceiver(async (url) => {
      const answer = await post(url, body);
      expect({ status: answer.status, text: await answer.text() }).toEqual({ status, text: expect.stringContaining(text) });
      expect(await kept(url)).toEqual([]);
    }));

  test('names such as __proto__ are labels like any other', () =>
    withReceiver(async (url) => {
      await post(url, '{"alerts":[{"status":"firing","labels":{"__proto__":"x","constructor":"y","n":3}}]}');
      expect(await (await fetch(`${url}/alerts`)).text()).toContain('"labels":{"__proto__":"x","constructor":"y"}');
    }));

  test('other pages are not there', () => withReceiver(async (url) => expect([(await fetch(`${url}/-/healthy`)).status, (await fetch(`${url}/x`)).status]).toEqual([200, 404])));
});
