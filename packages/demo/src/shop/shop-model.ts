/**
 * A small web shop as metrics: its instances, their endpoints, latencies, orders, queues and processes. Everything is a function
 * of time and nothing else (see wave.ts). Counters start anew every Monday 00:00 UTC, as after a weekly deployment.
 */
import { type Wave, integralAt, rateAt, trafficWave, troubleWave } from './wave.ts';

export interface ModelSeries {
  /** Name of the sample: the family's, or with a suffix such as `_bucket`. */
  readonly name: string;
  /** Labels without the name, in the order they are exposed. */
  readonly labels: readonly (readonly [string, string])[];
  /** Value at a time in ms since 1970. */
  readonly valueAt: (tMs: number) => number;
}

export interface ModelFamily {
  readonly name: string;
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly help: string;
  readonly series: readonly ModelSeries[];
}

/** Job its targets are scraped under. */
export const SHOP_JOB = 'shop';

/** Names of the instances; one scrape target each. */
export const SHOP_INSTANCES: readonly string[] = ['shop-0', 'shop-1', 'shop-2'];

/** Name of an instance by its index; the first are {@link SHOP_INSTANCES}. */
export function shopInstance(index: number): string {
  return `shop-${index}`;
}

/** What the first instance has; each further one has a tenth more. */
const CPU_CORES = 1;
const MEMORY_BYTES = 256 * 1024 * 1024;

const WEEK_S = 604_800;
/** 1970-01-01 was a Thursday; Mondays are this many seconds later. */
const MONDAY_S = 4 * 86_400;

const ENDPOINTS = [
  { endpoint: '/', method: 'GET', perSecond: 9, slowShare: 0.04 },
  { endpoint: '/product', method: 'GET', perSecond: 14, slowShare: 0.06 },
  { endpoint: '/search', method: 'GET', perSecond: 6, slowShare: 0.16 },
  { endpoint: '/cart', method: 'POST', perSecond: 2.5, slowShare: 0.08 },
  { endpoint: '/checkout', method: 'POST', perSecond: 0.8, slowShare: 0.22 },
] as const;

const BOUNDS = ['0.005', '0.01', '0.025', '0.05', '0.1', '0.25', '0.5', '1', '2.5', '+Inf'] as const;
/** Share of fast and of slow requests at or below each bound. */
const FAST = [0.12, 0.38, 0.74, 0.91, 0.975, 0.995, 0.999, 1, 1, 1];
const SLOW = [0, 0, 0.02, 0.08, 0.2, 0.45, 0.72, 0.92, 0.985, 1];
const FAST_MEAN_S = 0.022;
const SLOW_MEAN_S = 0.41;

/** Seconds since the last Monday 00:00 UTC. */
function sinceDeploy(tMs: number): number {
  return (((tMs / 1000 - MONDAY_S) % WEEK_S) + WEEK_S) % WEEK_S;
}

function counter(name: string, labels: readonly (readonly [string, string])[], wave: Wave, scale = 1): ModelSeries {
  // Whole events; a counter of seconds or bytes passes its own scale.
  return { name, labels, valueAt: (tMs) => Math.floor(integralAt(wave, sinceDeploy(tMs)) * scale) };
}

/** Noise in [0, 1) that depends only on its arguments. */
function noise(seed: number, slot: number): number {
  let hash = Math.imul(seed ^ 0x9e3779b9, 0x85ebca6b) ^ Math.imul(slot | 0, 0xc2b2ae35);
  hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
  hash ^= hash >>> 13;
  return (hash >>> 0) / 4_294_967_296;
}

/**
 * All metrics of one instance.
 * @param instance index, from 0
 */
export function shopModel(instance: number): ModelFamily[] {
  const requests: ModelSeries[] = [];
  const latencies: ModelSeries[] = [];
  const overall: Wave[] = [];
  ENDPOINTS.forEach(({ endpoint, method, perSecond, slowShare }, index) => {
    const seed = instance * 11 + index;
    const base = perSecond * (1 + 0.2 * instance);
    const ok = trafficWave(base, seed);
    const missing = trafficWave(base * 0.012, seed + 3);
    const failing = troubleWave(base * 0.006, 21_600, -1.1 + index * 0.2);
    overall.push(ok);
    for (const [status, wave] of [['200', ok], ['404', missing], ['500', failing]] as const) {
      requests.push(counter('http_requests_total', [['endpoint', endpoint], ['method', method], ['status', status]], wave));
    }
    // Latency: fast requests with the traffic, slow ones with the trouble, each with a fixed distribution.
    const fast = trafficWave(base * (1 - slowShare), seed);
    const slow = troubleWave(base * slowShare, 21_600, -1.1 + index * 0.2);
    const labels: readonly (readonly [string, string])[] = [['endpoint', endpoint], ['method', method]];
    // Whole requests between two bounds, summed up: so each bucket grows by no less than the one below it.
    const countAt = (tMs: number, bound: number): number => {
      const fastCount = integralAt(fast, sinceDeploy(tMs));
      const slowCount = integralAt(slow, sinceDeploy(tMs));
      let count = 0;
      for (let i = 0; i <= bound; i++) count += Math.floor(fastCount * (FAST[i]! - (FAST[i - 1] ?? 0))) + Math.floor(slowCount * (SLOW[i]! - (SLOW[i - 1] ?? 0)));
      return count;
    };
    BOUNDS.forEach((le, bound) => {
      latencies.push({ name: 'http_request_duration_seconds_bucket', labels: [['le', le], ...labels], valueAt: (tMs) => countAt(tMs, bound) });
    });
    latencies.push({
      name: 'http_request_duration_seconds_sum',
      labels,
      valueAt: (tMs) => Math.round((integralAt(fast, sinceDeploy(tMs)) * FAST_MEAN_S + integralAt(slow, sinceDeploy(tMs)) * SLOW_MEAN_S) * 1e6) / 1e6,
    });
    latencies.push({ name: 'http_request_duration_seconds_count', labels, valueAt: (tMs) => countAt(tMs, BOUNDS.length - 1) });
  });

  const loadAt = (tMs: number): number => overall.reduce((sum, wave) => sum + rateAt(wave, sinceDeploy(tMs)), 0);
  const cpu = trafficWave(0.35 + 0.05 * instance, instance + 20);
  const memoryAt = (tMs: number): number => 4096 * Math.round(28_000 + 2500 * instance + (sinceDeploy(tMs) / WEEK_S) * 9000 + loadAt(tMs) * 60 + 400 * noise(instance + 40, tMs / 60_000));
  return [
    { name: 'http_requests_total', type: 'counter', help: 'Requests served, by endpoint, method and status code.', series: requests },
    { name: 'http_request_duration_seconds', type: 'histogram', help: 'Time to serve a request.', series: latencies },
    {
      name: 'http_requests_in_flight',
      type: 'gauge',
      help: 'Requests being served.',
      series: [{ name: 'http_requests_in_flight', labels: [], valueAt: (tMs) => Math.round(loadAt(tMs) * (0.05 + 0.1 * noise(instance + 1, tMs / 1000))) }],
    },
    {
      name: 'shop_orders_total',
      type: 'counter',
      help: 'Orders placed, by way of payment.',
      series: (['card', 'invoice', 'voucher'] as const).map((payment, index) => counter('shop_orders_total', [['payment', payment]], trafficWave(0.4 / (index + 1), instance * 7 + index))),
    },
    {
      name: 'shop_queue_depth',
      type: 'gauge',
      help: 'Jobs waiting, by queue.',
      series: (['email', 'payment', 'stock'] as const).map((queue, index) => ({
        name: 'shop_queue_depth',
        labels: [['queue', queue] as const],
        valueAt: (tMs: number) => Math.round(rateAt(troubleWave(6 * (index + 1), 10_800, index), tMs / 1000) + 4 * noise(instance * 5 + index, tMs / 15_000)),
      })),
    },
    {
      name: 'process_cpu_seconds_total',
      type: 'counter',
      help: 'CPU time used, seconds.',
      series: [{ name: 'process_cpu_seconds_total', labels: [], valueAt: (tMs) => Math.round(integralAt(cpu, sinceDeploy(tMs)) * 100) / 100 }],
    },
    {
      name: 'process_resident_memory_bytes',
      type: 'gauge',
      help: 'Resident memory, bytes.',
      series: [{
        name: 'process_resident_memory_bytes',
        labels: [],
        valueAt: memoryAt,
      }],
    },
    {
      name: 'shop_cpu_usage_ratio',
      type: 'gauge',
      help: 'Share of its CPU that the instance uses, 0 to 1.',
      series: [{ name: 'shop_cpu_usage_ratio', labels: [], valueAt: (tMs) => Math.round((rateAt(cpu, sinceDeploy(tMs)) / (CPU_CORES * (1 + 0.1 * instance))) * 1e4) / 1e4 }],
    },
    {
      name: 'shop_memory_usage_ratio',
      type: 'gauge',
      help: 'Share of its memory that the instance uses, 0 to 1.',
      series: [{ name: 'shop_memory_usage_ratio', labels: [], valueAt: (tMs) => Math.round((memoryAt(tMs) / (MEMORY_BYTES * (1 + 0.1 * instance))) * 1e4) / 1e4 }],
    },
    {
      name: 'process_start_time_seconds',
      type: 'gauge',
      help: 'Start of the process, seconds since 1970.',
      series: [{ name: 'process_start_time_seconds', labels: [], valueAt: (tMs) => Math.floor(tMs / 1000 - sinceDeploy(tMs)) }],
    },
    {
      name: 'shop_build_info',
      type: 'gauge',
      help: 'Always 1; the labels tell the build.',
      series: [{ name: 'shop_build_info', labels: [['version', '4.2.1']], valueAt: () => 1 }],
    },
  ];
}
