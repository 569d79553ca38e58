/** A pass over an exposition of 10,000 series, first and later ones, ns per sample. Run: node --import tsx packages/scrape/src/append-exposition.bench.ts [series] */
import type { Labels } from '@gauntlet/model';
import { appendExposition, noCounts } from './append-exposition.ts';
import type { ScrapeAppender } from './appender.ts';
import { ExpositionParser } from './parse-exposition.ts';
import { createScrapeConfig } from './scrape-config.ts';
import { SeriesCache } from './series-cache.ts';
import { createTargets } from './target.ts';

const count = Number(process.argv[2] ?? 10_000);
const [target] = createTargets(createScrapeConfig({ jobName: 'bench', staticConfigs: [{ targets: ['host:9100'], labels: [] }] })).active;

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
  tryAppendHistogram: (ref) => ref,
  tryAppendStale: (ref) => ref,
  appendExemplar: () => false,
  setMetadata: () => undefined,
  commit: () => undefined,
  rollback: () => undefined,
};

function measure(name: string, bodies: readonly Uint8Array[], run: (body: Uint8Array, round: number) => void): void {
  const start = process.hrtime.bigint();
  bodies.forEach(run);
  const ns = Number(process.hrtime.bigint() - start) / bodies.length / count;
  console.log(`${name.padEnd(36)} ${ns.toFixed(0).padStart(6)} ns/sample`);
}

const cache = new SeriesCache();
const pass = (body: Uint8Array, round: number): void => appendExposition(body, 'text', round * 15_000, target!, cache, appender, noCounts());
const steady = Array.from({ length: 20 }, (_, round) => exposition(round, false));
const moved = Array.from({ length: 20 }, (_, round) => exposition(round, round % 2 === 1));
measure('first pass', steady.slice(0, 1), pass);
measure('later passes', steady, pass);
measure('later passes, order changes each time', moved, pass);
measure('parsing alone, labels skipped', steady, (body) => {
  const parser = new ExpositionParser(body, 'text');
  while (parser.next() !== 'end') sum += parser.value;
});
if (!(sum > 0) || refs !== count) throw new Error(`appended ${refs} series, wanted ${count}`);
