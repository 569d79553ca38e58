/**
 * Writes the drawings and the figures of docs/dedup: node --import tsx packages/dedup/src/testing/write-docs.ts [seeds]. Everything comes from
 * seeded timelines, so a second run writes the same bytes.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { applyCounterResets } from '../counter-resets.ts';
import { mergePenalty } from '../merge-penalty.ts';
import { DedupBuffer, type ReplicaColumns } from '../replica-columns.ts';
import { mergeStable } from '../stable.ts';
import { REACH_MS } from '../stable-windows.ts';
import { createFaultSeries, FAULT_ROWS, type FaultRow, type FaultSeries } from './fault-rows.ts';
import { MEASURED, measureRow } from './measure-row.ts';
import { rateAt, type RateInput } from './rate.ts';

const folder = join(process.cwd(), 'docs', 'dedup');
const seeds = Number(process.argv[2] ?? 20);
const RANGE_MS = 300_000;
const MINUTE_MS = 60_000;
const COLORS = { a: '#2563eb', b: '#d97706', penalty: '#dc2626', stable: '#059669' } as const;

function fileOf(row: FaultRow): string {
  return `${row.name.replace(/%/g, 'percent').replace(/[^a-z0-9]+/gi, '-').toLowerCase()}.svg`;
}

function merged(merge: (out: DedupBuffer) => void): DedupBuffer {
  const out = new DedupBuffer();
  merge(out);
  return out;
}

/** As upstream reads a counter: resets taken out of each replica first. */
function totals({ timestampsMs, values }: ReplicaColumns): ReplicaColumns {
  const times = timestampsMs.slice();
  const own = values.slice();
  const count = applyCounterResets(times, own, times.length);
  return { timestampsMs: times.subarray(0, count), values: own.subarray(0, count) };
}

function penaltyOf({ replicas }: FaultSeries): DedupBuffer {
  return merged((out) => mergePenalty(replicas.map(totals), { isCounter: true }, out));
}

function stableOf({ replicas }: FaultSeries): DedupBuffer {
  return merged((out) => mergeStable(replicas, { isCounterSeries: true }, out));
}

function from(columns: ReplicaColumns, fromMs: number): ReplicaColumns {
  const first = columns.timestampsMs.findIndex((ms) => ms >= fromMs);
  return { timestampsMs: columns.timestampsMs.subarray(first), values: columns.values.subarray(first) };
}

/** Lanes of samples, and below them the rate against the truth. */
function draw(row: FaultRow): string {
  const { startMs, endMs, series } = createFaultSeries(row, 3, 1);
  const middle = series[0]!.target.resetsMs[0]!;
  const span = Math.min(24, (24 * row.intervalMs) / 15_000) * MINUTE_MS;
  const left = Math.max(startMs, Math.min(endMs - span, middle - span / 2));
  const right = left + span;
  const x = (ms: number): string => (110 + ((ms - left) / span) * 780).toFixed(1);
  const inside = (ms: number): boolean => ms >= left && ms <= right;
  const [one] = series;
  const lanes: string[] = [];
  const lane = (name: string, y: number, samples: ReadonlyArray<readonly [ms: number, color: string]>): void => {
    lanes.push(`<text x="100" y="${y + 4}" text-anchor="end">${name}</text><line x1="110" x2="890" y1="${y}" y2="${y}" stroke="#e5e7eb"/>`);
    for (const [ms, color] of samples) if (inside(ms)) lanes.push(`<circle cx="${x(ms)}" cy="${y}" r="3" fill="${color}"/>`);
  };
  const sourceColors = [COLORS.a, COLORS.b];
  const bySource = (out: DedupBuffer): Array<readonly [number, string]> => Array.from({ length: out.length }, (_, i) => [out.timestampsMs[i]!, sourceColors[out.replicas[i]!]!] as const);
  lane('replica a', 40, Array.from(one!.replicas[0].timestampsMs, (ms) => [ms, COLORS.a] as const));
  lane('replica b', 64, Array.from(one!.replicas[1].timestampsMs, (ms) => [ms, COLORS.b] as const));
  lane('penalty', 96, bySource(penaltyOf(one!)));
  lane('stable', 120, bySource(stableOf(one!)));
  const resets = one!.target.resetsMs.filter(inside).map((ms) => `<line x1="${x(ms)}" x2="${x(ms)}" y1="26" y2="300" stroke="#9ca3af" stroke-dasharray="3 3"/><text x="${x(ms)}" y="20" text-anchor="middle">target restarts</text>`);
  const windows: string[] = [];
  for (let ms = Math.ceil(left / 600_000) * 600_000; ms <= right; ms += 600_000) windows.push(`<line x1="${x(ms)}" x2="${x(ms)}" y1="30" y2="130" stroke="#111827" stroke-width="0.6"/>`);
  const times = Array.from({ length: 241 }, (_, i) => left + (i / 240) * span);
  const errors = (input: (one: FaultSeries) => RateInput): number[] => {
    const shown = new Float64Array(times.length);
    const truth = new Float64Array(times.length);
    for (const each of series) {
      const columns = input(each);
      const { timestampsMs, values } = each.truth;
      times.forEach((at, k) => {
        shown[k]! += rateAt(columns, at, RANGE_MS);
        truth[k]! += rateAt({ timestampsMs, values, length: values.length }, at, RANGE_MS);
      });
    }
    return Array.from(shown, (value, k) => value / truth[k]! - 1);
  };
  const y = (error: number): string => (220 - Math.max(-0.4, Math.min(0.4, error)) * 180).toFixed(1);
  const curve = (values: readonly number[], color: string): string =>
    `<polyline fill="none" stroke="${color}" stroke-width="1.6" points="${values.map((value, k) => (Number.isNaN(value) ? '' : `${x(times[k]!)},${y(value)}`)).filter((point) => point !== '').join(' ')}"/>`;
  const axis = [-0.4, -0.2, 0, 0.2, 0.4].map((value) => `<line x1="110" x2="890" y1="${y(value)}" y2="${y(value)}" stroke="#e5e7eb"/><text x="100" y="${Number(y(value)) + 4}" text-anchor="end">${value > 0 ? '+' : ''}${Math.round(100 * value)} %</text>`);
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 900 336" font-family="sans-serif" font-size="11" fill="#374151">
<rect width="900" height="336" fill="#ffffff"/>
${[...windows, ...resets, ...lanes, ...axis].join('\n')}
${curve(errors(penaltyOf), COLORS.penalty)}
${curve(errors(stableOf), COLORS.stable)}
<text x="110" y="314">${row.name}, one restart of the target. Above: samples by time, coloured by replica; upright lines are windows.</text>
<text x="110" y="328">Below: error of sum(rate[5m]) against the truth: <tspan fill="${COLORS.penalty}">penalty</tspan>, <tspan fill="${COLORS.stable}">stable</tspan>.</text>
</svg>
`;
}

/** Part of the points of rate[5m] in the second half that change when that half is asked alone. */
function changedByHalves(row: FaultRow): { readonly penalty: number; readonly stable: number } {
  const changed = { penalty: 0, stable: 0 };
  let points = 0;
  for (let seed = 1; seed <= Math.min(5, seeds); seed++) {
    const { startMs, endMs, series } = createFaultSeries(row, seed, 0);
    const half = (startMs + endMs) / 2;
    for (const one of series.slice(0, 5)) {
      const alone = { ...one, replicas: one.replicas.map((columns) => from(columns, half - RANGE_MS)) as [ReplicaColumns, ReplicaColumns] };
      const aloneWithReach = { ...one, replicas: one.replicas.map((columns) => from(columns, half - RANGE_MS - REACH_MS)) as [ReplicaColumns, ReplicaColumns] };
      const pairs = { penalty: [penaltyOf(one), penaltyOf(alone)], stable: [stableOf(one), stableOf(aloneWithReach)] } as const;
      for (let at = half; at < endMs; at += 31_000) {
        points++;
        for (const name of ['penalty', 'stable'] as const) if (!Object.is(rateAt(pairs[name][0], at, RANGE_MS), rateAt(pairs[name][1], at, RANGE_MS))) changed[name]++;
      }
    }
  }
  return { penalty: changed.penalty / points, stable: changed.stable / points };
}

function percent(part: number): string {
  if (part > 5) return `${Math.round(part).toLocaleString('en')} ×`;
  return `${(100 * part).toFixed(part < 0.1 ? 1 : 0)} %`;
}

function table(resets: number): string {
  const lines = [`| faults | ${MEASURED.join(' | ')} | longest hole: penalty, stable | resets invented, lost by stable |`, `|---|${MEASURED.map(() => '---').join('|')}|---|---|`];
  for (const row of FAULT_ROWS) {
    const { errors, holes, resets: seen } = measureRow(row, { seeds, resets, rangeMs: RANGE_MS });
    lines.push(`| ${row.name} | ${MEASURED.map((name) => (name === 'stable' ? `**${percent(errors[name])}**` : percent(errors[name]))).join(' | ')} | ${holes.penalty.toFixed(0)} s, ${holes.stable.toFixed(0)} s | ${seen.stable.invented}, ${seen.stable.lost} |`);
  }
  return lines.join('\n');
}

mkdirSync(folder, { recursive: true });
for (const row of FAULT_ROWS) writeFileSync(join(folder, fileOf(row)), draw(row));
const halves = FAULT_ROWS.map((row) => ({ row, changed: changedByHalves(row) }));
writeFileSync(
  join(folder, 'figures.md'),
  `# \`stable\` beside \`penalty\`: figures

Generated by \`node --import tsx packages/dedup/src/testing/write-docs.ts\`. 20 counters of one target, two replicas, 110 minutes, ${seeds} seeds. The truth
is a third replica without faults; *floor* is a fourth without faults, scraped at other instants; *a* and *b* are the replicas alone. Error: the largest relative error of
\`sum(rate[5m])\`, median of the seeds; 100 % stands where a part has no answer.

## No restart of the target

${table(0)}

## Two restarts of the target

Errors of \`floor\` grow, because a scrape shortly after a restart has missed what was counted before it.

${table(2)}

## The second half of a range asked alone

Points of \`rate[5m]\` in the second half that differ from those of the whole range.

| faults | penalty | stable |
|---|---|---|
${halves.map(({ row, changed }) => `| ${row.name} | ${percent(changed.penalty)} | ${percent(changed.stable)} |`).join('\n')}

## Drawings

${FAULT_ROWS.map((row) => `### ${row.name}\n\n![${row.name}](${fileOf(row)})`).join('\n\n')}
`,
);
