import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { exposeText, startSampleService } from './sample-service.ts';
import { SHOP_INSTANCES, shopModel } from './shop-model.ts';
import { integralAt, rateAt, trafficWave, troubleWave } from './wave.ts';

const WEEK_MS = 604_800_000;
const MONDAY_MS = Date.UTC(2026, 10, 16);

describe('waves', () => {
  test.each([['traffic', trafficWave(3, 5)], ['trouble', troubleWave(2, 21_600, 1)]] as const)('%s: the rate is never negative and the integral is its integral', (_name, wave) => {
    fc.assert(fc.property(fc.double({ min: 0, max: 604_800, noNaN: true }), (tS) => {
      expect(rateAt(wave, tS)).toBeGreaterThanOrEqual(-1e-9);
      const slope = (integralAt(wave, tS + 0.5) - integralAt(wave, tS - 0.5)) / 1;
      expect(slope).toBeCloseTo(rateAt(wave, tS), 2);
    }));
  });
});

describe('the shop', () => {
  test('cpu and memory stay within what an instance has', () => {
    for (const name of ['shop_cpu_usage_ratio', 'shop_memory_usage_ratio']) {
      const gauges = SHOP_INSTANCES.map((_name, index) => shopModel(index).find((family) => family.name === name)!.series[0]!);
      fc.assert(fc.property(fc.integer({ min: 0, max: WEEK_MS }), (offset) => {
        for (const { valueAt } of gauges) {
          expect(valueAt(MONDAY_MS + offset)).toBeGreaterThan(0);
          expect(valueAt(MONDAY_MS + offset)).toBeLessThan(1);
        }
      }), { numRuns: 200 });
    }
  });

  const families = SHOP_INSTANCES.flatMap((_name, index) => shopModel(index));
  const all = families.flatMap((family) => family.series);

  test('stays under 500 series in all', () => expect(all.length).toBeLessThanOrEqual(450));

  test('counters fall only at the weekly deployment', () => {
    const counters = families.filter((family) => family.type !== 'gauge').flatMap((family) => family.series);
    fc.assert(fc.property(fc.integer({ min: 0, max: WEEK_MS - 60_001 }), fc.integer({ min: 1, max: 60_000 }), (offset, delta) => {
      for (const series of counters) expect(series.valueAt(MONDAY_MS + offset + delta)).toBeGreaterThanOrEqual(series.valueAt(MONDAY_MS + offset));
    }), { numRuns: 50 });
    for (const series of counters) expect(series.valueAt(MONDAY_MS + WEEK_MS)).toBe(0);
  });

  test('buckets are cumulative and end in the count', () => {
    const tMs = MONDAY_MS + 3.3 * 86_400_000;
    for (const family of families.filter(({ type }) => type === 'histogram')) {
      let previous = 0;
      for (const series of family.series) {
        const value = series.valueAt(tMs);
        if (series.name.endsWith('_bucket')) {
          if (series.labels[0]![1] === '0.005') previous = 0;
          expect(value).toBeGreaterThanOrEqual(previous);
          previous = value;
        } else if (series.name.endsWith('_count')) expect(value).toBe(previous);
      }
    }
  });

  test('each bucket grows by no less than the one below it', () => {
    const buckets = families.filter(({ type }) => type === 'histogram').flatMap((family) => family.series.filter(({ name }) => name.endsWith('_bucket')));
    fc.assert(fc.property(fc.integer({ min: 0, max: WEEK_MS - 60_001 }), fc.integer({ min: 1, max: 60_000 }), (offset, delta) => {
      let below = 0;
      for (const { labels, valueAt } of buckets) {
        const growth = valueAt(MONDAY_MS + offset + delta) - valueAt(MONDAY_MS + offset);
        if (labels[0]![1] !== '0.005') expect(growth).toBeGreaterThanOrEqual(below);
        below = growth;
      }
    }), { numRuns: 200 });
  });

  test('the same time gives the same text', () => {
    expect(exposeText(shopModel(1), MONDAY_MS + 12_345)).toBe(exposeText(shopModel(1), MONDAY_MS + 12_345));
    expect(exposeText(shopModel(0), MONDAY_MS)).toContain('# TYPE http_request_duration_seconds histogram\n');
  });
});

test('as many instances as asked for, each with a name of its own', async () => {
  const service = await startSampleService({ host: '127.0.0.1', port: 0, clock: () => MONDAY_MS, instances: 5 });
  try {
    expect(service.paths).toEqual(['/shop-0/metrics', '/shop-1/metrics', '/shop-2/metrics', '/shop-3/metrics', '/shop-4/metrics']);
    expect((await fetch(`http://${service.address}/shop-4/metrics`)).status).toBe(200);
    expect((await fetch(`http://${service.address}/-/healthy`)).status).toBe(200);
  } finally {
    await service.stop();
  }
});

test('the service answers one path per instance', async () => {
  const service = await startSampleService({ host: '127.0.0.1', port: 0, clock: () => MONDAY_MS + 3_600_000 });
  try {
    const answer = await fetch(`http://${service.address}${service.paths[2]}`);
    expect(answer.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8');
    expect(await answer.text()).toContain('http_requests_total{endpoint="/",method="GET",status="200"} ');
    expect((await fetch(`http://${service.address}/`)).status).toBe(404);
  } finally {
    await service.stop();
  }
});
