/**
 * info(v [, {labels}]): adds the labels of info metrics (`target_info` and the like) to the series that have the same `instance` and `job`.
 *
 *   v{instance, job, …}  +  target_info{instance, job, data labels}  →  v{instance, job, …, data labels}
 *
 * The info series that counts at a step is the one with the newest sample. Source: Prometheus promql/info.go (3.14).
 */
import { createMatcher, formatLabels, getLabel, type Labels, type Matcher, METRIC_NAME, withLabel } from '@gauntlet/model';
import { PromqlError } from '../errors.ts';
import { labelsKey } from '../exec/labels.ts';
import type { Grid, QueryContext } from '../exec/query-context.ts';
import { readSeries } from '../exec/read-series.ts';
import { lookTimes } from '../exec/look-times.ts';
import { duplicateLabelset, StepMatrix } from '../exec/step-matrix.ts';
import type { Call, Expr } from '../parser/ast.ts';
import { childrenOf } from '../parser/children.ts';

const IDENTIFYING = ['instance', 'job'] as const;
const TARGET_INFO = 'target_info';

/** Info series over the steps: the time of the sample in effect, NaN where there is none. */
interface InfoSeries {
  readonly labels: Labels;
  readonly key: string;
  readonly sampleMs: Float64Array;
  /** 1 where that sample is a native histogram. */
  readonly isHistogram: Uint8Array;
}

/** Evaluates the join; `base` is the evaluated first argument and is used up. */
export async function infoJoin(context: QueryContext, call: Call, grid: Grid, base: StepMatrix): Promise<StepMatrix> {
  const selector = call.args[1];
  const given: readonly Matcher[] = selector?.type === 'vectorSelector' ? selector.matchers : [];
  const nameMatchers = effectiveNameMatchers(given.filter((matcher) => matcher.name === METRIC_NAME));
  const dataMatchers = given.filter((matcher) => matcher.name !== METRIC_NAME);

  // Info series themselves pass unchanged.
  const enriched = new Uint8Array(base.rows);
  for (let row = 0; row < base.rows; row++) {
    const name = getLabel(base.labels[row]!, METRIC_NAME);
    enriched[row] = nameMatchers.every((matcher) => matcher.matches(name)) ? 0 : 1;
  }
  const { steps } = grid;
  const info = await readInfoSeries(context, call, grid, base, enriched, nameMatchers, dataMatchers);
  const byKey = newestByKey(info, base);
  const infoNames = [...new Set(info.map((series) => getLabel(series.labels, METRIC_NAME)))];

  const held = base.count();
  const out = new StepMatrix(context, steps, base.rows);
  const rows = new Map<string, number>();
  const dropsWithoutMatch = dataMatchers.some((matcher) => !matcher.matches(''));
  for (let row = 0; row < base.rows; row++) {
    const labels = base.labels[row]!;
    const candidates = enriched[row] === 1 ? infoNames.map((name) => byKey.get(infoKey(name, labels)) ?? []) : [];
    for (let k = 0; k < steps; k++) {
      const i = row * steps + k;
      if (base.present[i] === 0) continue;
      let result: Labels | undefined = labels;
      if (enriched[row] === 1) {
        const matches = candidates.map((series) => series[k]).filter((series) => series !== undefined);
        result = matches.length === 0 && dropsWithoutMatch ? undefined : withInfoLabels(labels, matches, dataMatchers);
      }
      if (result === undefined) continue;
      const key = labelsKey(result);
      let at = rows.get(key);
      if (at === undefined) {
        at = out.addRow(result, base.dropName[row]!);
        rows.set(key, at);
      }
      if (out.present[at * steps + k] === 1) throw duplicateLabelset();
      out.present[at * steps + k] = 1;
      out.values[at * steps + k] = base.values[i]!;
      const histogram = base.histogramAt(row, k);
      if (histogram !== undefined) out.setHistogram(at, k, histogram);
    }
    context.worked(steps, 1);
  }
  base.release();
  context.drop(held);
  context.hold(out.count());
  return out;
}

/** Without a positive matcher on the name, `target_info`, or everything that ends in `_info` where some are excluded. */
function effectiveNameMatchers(matchers: readonly Matcher[]): readonly Matcher[] {
  if (matchers.some((matcher) => matcher.type === '=' || matcher.type === '=~')) return matchers;
  if (matchers.length > 0) return [createMatcher('=~', METRIC_NAME, '.+_info'), ...matchers];
  return [createMatcher('=', METRIC_NAME, TARGET_INFO)];
}

async function readInfoSeries(
  context: QueryContext,
  call: Call,
  grid: Grid,
  base: StepMatrix,
  enriched: Uint8Array,
  nameMatchers: readonly Matcher[],
  dataMatchers: readonly Matcher[],
): Promise<InfoSeries[]> {
  const idMatchers: Matcher[] = [];
  for (const name of IDENTIFYING) {
    const values = new Set<string>();
    for (let row = 0; row < base.rows; row++) {
      const value = getLabel(base.labels[row]!, name);
      if (enriched[row] === 1 && value !== '') values.add(value);
    }
    if (values.size > 0) idMatchers.push(createMatcher('=~', name, [...values].map(quoteMeta).join('|')));
  }
  if (idMatchers.length === 0) return [];

  const { kernels } = context;
  const { lookbackMs } = context.settings;
  const look = lookTimes(timesOfFirstSelector(call.args[0]!), grid);
  const request = {
    matchers: [...idMatchers, ...dataMatchers, ...nameMatchers],
    mint: look.firstMs - lookbackMs + 1,
    maxt: look.lastMs,
    hints: { stepMs: grid.stepMs, func: 'info', grouping: [], by: false, rangeMs: 0 },
  };
  const series: InfoSeries[] = [];
  const steps = grid.steps;
  const ptr = kernels.memory.alloc(steps * 9);
  try {
    await readSeries(context, request, (labels, timestampsPtr, valuesPtr, count, histograms) => {
      const found = kernels.lookback(timestampsPtr, valuesPtr, count, look.firstMs, look.stepMs, steps, lookbackMs, ptr, ptr + steps * 8);
      if (found === 0) return;
      const times = kernels.memory.f64(timestampsPtr, count);
      const present = kernels.memory.u8(ptr + steps * 8, steps);
      const sampleMs = new Float64Array(steps).fill(NaN);
      const isHistogram = new Uint8Array(steps);
      let hi = 0;
      for (let k = 0; k < steps; k++) {
        const ref = look.firstMs + k * look.stepMs;
        while (hi < count && times[hi]! <= ref) hi++;
        if (present[k] === 0) continue;
        if (histograms?.at(hi - 1) !== undefined) isHistogram[k] = 1;
        sampleMs[k] = times[hi - 1]!;
      }
      series.push({ labels, key: infoKey(getLabel(labels, METRIC_NAME), labels), sampleMs, isHistogram });
    });
  } finally {
    kernels.memory.free(ptr);
  }
  return series;
}

function infoKey(name: string, labels: Labels): string {
  return labelsKey([name, ...IDENTIFYING.map((id) => getLabel(labels, id))]);
}

function quoteMeta(text: string): string {
  return text.replace(/[\\.+*?()|[\]{}^$]/g, '\\$&');
}

/** `@` and offset of the first selector of an expression, with those of the subqueries around it: info series are looked up at the same time. */
function timesOfFirstSelector(root: Expr): { readonly timestampMs: number | undefined; readonly originalOffsetMs: number } {
  const find = (expr: Expr): { timestampMs: number | undefined; originalOffsetMs: number } | undefined => {
    if (expr.type === 'vectorSelector') return { timestampMs: expr.timestampMs, originalOffsetMs: expr.originalOffsetMs };
    for (const child of childrenOf(expr)) {
      const times = find(child);
      if (times === undefined) continue;
      if (expr.type === 'subquery' && times.timestampMs === undefined) {
        return { timestampMs: expr.timestampMs, originalOffsetMs: times.originalOffsetMs + expr.originalOffsetMs };
      }
      return times;
    }
    return undefined;
  };
  return find(root) ?? { timestampMs: undefined, originalOffsetMs: 0 };
}

/**
 * By name and identifying labels the series that counts at each step.
 * @throws PromqlError ERR_EXECUTION where series contradict each other at a step that has something to add labels to, whether they match it or not
 */
function newestByKey(info: readonly InfoSeries[], base: StepMatrix): Map<string, (InfoSeries | undefined)[]> {
  const byKey = new Map<string, (InfoSeries | undefined)[]>();
  if (info.length === 0) return byKey;
  const { steps } = base;
  const hasBase = new Uint8Array(steps);
  for (let row = 0; row < base.rows; row++) {
    for (let k = 0; k < steps; k++) hasBase[k] = hasBase[k]! | base.present[row * steps + k]!;
  }
  for (const series of info) {
    let best = byKey.get(series.key);
    if (best === undefined) byKey.set(series.key, (best = Array.from({ length: steps }, () => undefined)));
    for (let k = 0; k < steps; k++) if (hasBase[k] === 1) best[k] = newer(best[k], series, k);
  }
  return byKey;
}

/** The series with the newer sample at a step. */
function newer(best: InfoSeries | undefined, series: InfoSeries, k: number): InfoSeries | undefined {
  const at = series.sampleMs[k]!;
  if (Number.isNaN(at)) return best;
  if (series.isHistogram[k] === 1) throw new PromqlError('ERR_EXECUTION', 'info sample should be float');
  const known = best?.sampleMs[k];
  if (best !== undefined && known === at) {
    const message = `found duplicate series for info metric: existing ${formatLabels(best.labels)} @ ${at}, new ${formatLabels(series.labels)} @ ${at}`;
    throw new PromqlError('ERR_EXECUTION', message);
  }
  return best === undefined || known! < at ? series : best;
}

function withInfoLabels(labels: Labels, matches: readonly InfoSeries[], dataMatchers: readonly Matcher[]): Labels {
  const wanted = new Set(dataMatchers.map((matcher) => matcher.name));
  const added = new Map<string, string>();
  for (const { labels: from } of matches) {
    for (let i = 0; i < from.length; i += 2) {
      const name = from[i]!;
      const value = from[i + 1]!;
      if (name === METRIC_NAME || (wanted.size > 0 && !wanted.has(name))) continue;
      const known = added.get(name);
      if (known !== undefined && known !== value) throw new PromqlError('ERR_EXECUTION', `conflicting label: ${name}`);
      if (getLabel(labels, name) === '') added.set(name, value);
    }
  }
  let result = labels;
  for (const [name, value] of added) result = withLabel(result, name, value);
  return result;
}
