/** Compares answers of two query APIs, for benchmarks: what was measured must be the same. */

type Point = readonly [number, string];

interface Series {
  readonly metric: Record<string, string>;
  readonly value?: Point;
  readonly values?: readonly Point[];
}

interface Answer {
  readonly status: string;
  readonly error?: string;
  readonly data: { readonly result: readonly Series[] };
}

/** Relative difference that is taken for rounding. */
const ROUNDING = 1e-9;

const pointsOf = (series: Series): readonly Point[] => series.values ?? [series.value!];
const identity = ({ metric }: Series): string => JSON.stringify(Object.entries(metric).sort(([a], [b]) => (a < b ? -1 : 1)));

function parsed(name: string, text: string): Answer {
  const answer = JSON.parse(text) as Answer;
  if (answer.status !== 'success') throw new Error(`${name}: ${answer.error ?? text.slice(0, 200)}`);
  return answer;
}

/** Values per time, ascending: of equal values at the edge of a topk, either series may be the one that is kept. */
function byTime(answer: Answer): Map<number, string[]> {
  const columns = new Map<number, string[]>();
  for (const series of answer.data.result) {
    for (const [time, value] of pointsOf(series)) {
      const column = columns.get(time);
      if (column === undefined) columns.set(time, [value]);
      else column.push(value);
    }
  }
  for (const column of columns.values()) column.sort((a, b) => Number(a) - Number(b));
  return columns;
}

function compareText(where: () => string, ours: string, theirs: string, tolerance: number): number {
  if (ours === theirs) return 1;
  const [a, b] = [Number(ours), Number(theirs)];
  if (!(Math.abs(a - b) <= tolerance * Math.max(Math.abs(a), Math.abs(b)))) throw new Error(`${where()}: ${ours} here, ${theirs} there`);
  return 0;
}

/**
 * The share of equal value texts, 0 to 1.
 * @param name for messages
 * @param mode `series`: series by series; `times`: values per time, whichever series has them
 * @param tolerance relative difference of values that passes; default: rounding
 * @throws when series or times differ, or values by more than rounding
 */
export function compareAnswers(name: string, ours: string, theirs: string, mode: 'series' | 'times', tolerance: number = ROUNDING): number {
  const [a, b] = [parsed(`${name} here`, ours), parsed(`${name} there`, theirs)];
  let equal = 0;
  let total = 0;
  if (mode === 'times') {
    const [x, y] = [byTime(a), byTime(b)];
    if (x.size !== y.size) throw new Error(`${name}: ${x.size} times here, ${y.size} there`);
    for (const [time, values] of x) {
      const others = y.get(time);
      if (others?.length !== values.length) throw new Error(`${name} at ${time}: ${values.length} values here, ${others?.length ?? 'none'} there`);
      values.forEach((value, i) => (equal += compareText(() => `${name} at ${time}`, value, others[i]!, tolerance)));
      total += values.length;
    }
    return total === 0 ? 1 : equal / total;
  }
  const theirSeries = new Map(b.data.result.map((series) => [identity(series), pointsOf(series)]));
  if (a.data.result.length !== theirSeries.size) throw new Error(`${name}: ${a.data.result.length} series here, ${theirSeries.size} there`);
  for (const series of a.data.result) {
    const key = identity(series);
    const points = pointsOf(series);
    const others = theirSeries.get(key);
    if (others?.length !== points.length) throw new Error(`${name}: ${key}: ${points.length} points here, ${others?.length ?? 'none'} there`);
    points.forEach(([time, value], i) => {
      if (time !== others[i]![0]) throw new Error(`${name}: ${key}: times differ`);
      equal += compareText(() => `${name}: ${key} at ${time}`, value, others[i]![1], tolerance);
    });
    total += points.length;
  }
  return total === 0 ? 1 : equal / total;
}
