/** A pass over an exposition of 10,000 series, first and later ones, text and protobuf, and over native histograms; CPU, ns per sample, least of the passes. Run: node --import tsx packages/scrape/src/append-exposition.bench.ts [series] */
import type { Labels } from '@gauntlet/model';
import { appendExposition, noCounts } from './append-exposition.ts';
import type { ScrapeAppender } from './appender.ts';
import type { ExpositionFormat } from './exposition.ts';
import { ExpositionParser } from './parse-exposition.ts';
import { createScrapeConfig } from './scrape-config.ts';
import { SeriesCache } from './series-cache.ts';
import { createTargets } from './target.ts';
import { encodeMetricFamilies } from './testing/encode-metric-families.ts';

const count = Number(process.argv[2] ?? 10_000);
const [target] = createTargets(createScrapeConfig({ jobName: 'bench', scrapeNativeHistograms: true, staticConfigs: [{ targets: ['host:9100'], labels: [] }] })).active;

function exposition(round: number, shuffled: boolean): Uint8Array {
  const lines: string[] = [];
  for (let i = 0; i < count; i++) lines.push(`http_request_duration_seconds_bucket{method="GET",route="/api/v1/items/${i % 97}",code="${200 + (i % 5)}",pod="shop-${i}",le="0.25"} ${i * 1.5 + round}\n`);
  if (shuffled) for (let i = 0; i < count - 1; i += 2) [lines[i], lines[i + 1]] = [lines[i + 1]!, lines[i]!];
  return new TextEncoder().encode(`# TYPE http_request_duration_seconds histogram\n${lines.join('')}`);
}

let refs = 0;
let sum = 0;
const appender: ScrapeAppender = {
  tryAppend(ref: number, _labels: Labels, timeMs: number, value: number) {
    sum += value + timeMs;
    return ref === 0 ? ++refs : ref;
  },
  tryAppendHistogram(ref, _labels, timeMs, histogram) {
    sum += histogram.count + timeMs;
    return ref === 0 ? ++refs : ref;
  },
  tryAppendStale: (ref) => ref,
  appendExemplar: () => false,
  setMetadata: () => undefined,
  commit: () => undefined,
  rollback: () => undefined,
};

function measure(name: string, bodies: readonly Uint8Array[], run: (body: Uint8Array, round: number) => void, samples = count): void {
  let least = Number.POSITIVE_INFINITY;
  bodies.forEach((body, round) => {
    const before = process.cpuUsage();
    run(body, round);
    const { user, system } = process.cpuUsage(before);
    least = Math.min(least, user + system);
  });
  console.log(`${name.padEnd(36)} ${((least * 1000) / samples).toFixed(0).padStart(6)} ns/sample`);
}

/** Passes over one target. */
function passes(format: ExpositionFormat): (body: Uint8Array, round: number) => void {
  const cache = new SeriesCache();
  return (body, round) => appendExposition(body, format, round * 15_000, target!, cache, appender, noCounts());
}
const pass = passes('text');
const steady = Array.from({ length: 20 }, (_, round) => exposition(round, false));
const moved = Array.from({ length: 20 }, (_, round) => exposition(round, round % 2 === 1));
measure('first pass', steady.slice(0, 1), pass);
measure('later passes', steady, pass);
measure('later passes, order changes each time', moved, pass);
measure('parsing alone, labels skipped', steady, (body) => {
  const parser = new ExpositionParser(body, 'text');
  while (parser.next() !== 'end') sum += parser.value;
});

const labelsOf = (i: number): Record<string, string> => ({ method: 'GET', route: `/api/v1/items/${i % 97}`, code: String(200 + (i % 5)), pod: `shop-${i}` });
const gauges = Array.from({ length: 20 }, (_, round) =>
  encodeMetricFamilies([{ name: 'http_requests_in_flight', type: 'gauge', metrics: Array.from({ length: count }, (_unused, i) => ({ labels: labelsOf(i), value: i * 1.5 + round })) }]),
);
const protobuf = passes('protobuf');
measure('protobuf: first pass', gauges.slice(0, 1), protobuf);
measure('protobuf: later passes', gauges, protobuf);

const histogramCount = Math.ceil(count / 10);
/** Forty buckets in two spans. */
const histograms = Array.from({ length: 20 }, (_, round) =>
  encodeMetricFamilies([
    {
      name: 'http_request_duration_seconds',
      type: 'histogram',
      metrics: Array.from({ length: histogramCount }, (_unused, i) => ({
        labels: labelsOf(i),
        histogram: { count: 40 * (round + 1), sum: i, schema: 3, positive: { spans: [[-20, 25], [2, 15]] as const, deltas: Array.from({ length: 40 }, (_none, b) => (b === 0 ? round + 1 : 0)) } },
      })),
    },
  ]),
);
const native = passes('protobuf');
measure('native histograms of 40 buckets', histograms, native, histogramCount);
if (!(sum > 0) || refs !== 2 * count + histogramCount) throw new Error(`appended ${refs} series, wanted ${2 * count + histogramCount}`);
