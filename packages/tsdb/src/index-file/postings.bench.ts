/**
 * Postings: intersections of the sizes that selectors have, the union of many lists, and a regular expression over the values of a label.
 * `node --import tsx packages/tsdb/src/index-file/postings.bench.ts`
 *
 * Beside each: what took its place before (a hash set, sorting), as a floor that holds on any machine. Go's figures on the machine of
 * PERFORMANCE.md: intersections as below 8.1, 18.9, 0.9, 0.07 ms; the union by a heap 167 ms.
 */
import { createKernels } from '@gauntlet/kernels';
import { createMatcher } from '@gauntlet/model';
import { intersectPostings, unionPostings, withoutPostings } from './postings.ts';

const isSmall = process.env['GAUNTLET_BENCH_SMALL'] === '1';
const rounds = isSmall ? 7 : 15;
const scale = isSmall ? 0.1 : 1;
const SPACE = 1_000_000 * scale;

/** A fixed sequence of numbers in [0, 1). */
let state = 12345;
function random(): number {
  state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff;
  return state / 0x80000000;
}

/** Distinct references below SPACE, ascending. */
function list(count: number): Uint32Array {
  const marks = new Uint8Array(SPACE);
  for (let left = Math.min(count * scale, SPACE); left > 0; ) {
    const ref = Math.floor(random() * SPACE);
    if (marks[ref] === 0) left--;
    marks[ref] = 1;
  }
  return Uint32Array.from({ length: Math.min(count * scale, SPACE) }, ((at) => () => {
    while (marks[at] === 0) at++;
    return at++;
  })(0));
}

/** Median of the rounds, ms. */
function time(run: () => number): { ms: number; result: number } {
  const times: number[] = [];
  let result = 0;
  for (let round = 0; round < rounds + 3; round++) {
    const start = performance.now();
    result = run();
    if (round >= 3) times.push(performance.now() - start);
  }
  return { ms: times.sort((a, b) => a - b)[times.length >> 1]!, result };
}

/** Prints both and says by what factor; ends the run when it is below `floor`. */
function compare(name: string, run: () => number, before: () => number, floor: number): void {
  const got = time(run);
  const other = time(before);
  if (got.result !== other.result) throw new Error(`${name}: ${got.result} results, the other way has ${other.result}`);
  const factor = other.ms / got.ms;
  console.log(`${name.padEnd(44)} ${got.ms.toFixed(3).padStart(9)} ms   before ${other.ms.toFixed(3).padStart(9)} ms   ${factor.toFixed(1).padStart(6)}x   ${got.result} results`);
  if (factor < floor) throw new Error(`${name}: ${factor.toFixed(1)}x, want at least ${floor}x`);
}

function intersectBySet(a: Uint32Array, b: Uint32Array): number {
  const set = new Set(a);
  let count = 0;
  for (const ref of b) if (set.has(ref)) count++;
  return count;
}

const kernels = createKernels();
const [k1, k10, k200, other200, k500, m1] = [list(1000), list(10_000), list(200_000), list(200_000), list(500_000), list(1_000_000)];
compare('intersect 200,000 with 200,000', () => intersectPostings([k200, other200]).length, () => intersectBySet(k200, other200), 3);
compare('  by kernel', () => intersectPostings([k200, other200], kernels).length, () => intersectPostings([k200, other200]).length, 1.2);
compare('intersect 500,000 with 1,000,000', () => intersectPostings([k500, m1]).length, () => intersectBySet(k500, m1), 3);
compare('  by kernel', () => intersectPostings([k500, m1], kernels).length, () => intersectPostings([k500, m1]).length, 1.2);
compare('intersect 10,000 with 1,000,000', () => intersectPostings([k10, m1]).length, () => intersectBySet(k10, m1), 3);
compare('intersect 1,000 with 200,000', () => intersectPostings([k1, k200]).length, () => intersectBySet(k1, k200), 3);
compare('without: 500,000 of 1,000,000', () => withoutPostings(m1, k500).length, () => m1.length - intersectBySet(k500, m1), 3);
compare('  by kernel', () => withoutPostings(m1, k500, kernels).length, () => withoutPostings(m1, k500).length, 1.2);

const many = Array.from({ length: 1000 }, () => new Uint32Array(1000 * scale));
{
  const used = new Uint32Array(1000);
  for (let ref = 0; ref < SPACE; ref++) {
    const at = Math.floor(random() * 1000);
    if (used[at]! < 1000 * scale) many[at]![used[at]!++] = ref;
  }
  for (const [i, one] of many.entries()) many[i] = one.slice(0, used[i]);
}
compare('union of 1,000 lists, 1,000,000 references', () => unionPostings(many).length, () => {
  const all = new Uint32Array(many.reduce((sum, one) => sum + one.length, 0));
  let at = 0;
  for (const one of many) {
    all.set(one, at);
    at += one.length;
  }
  return new Set(all.sort()).size;
}, 5);

const pods = Array.from({ length: 10_000 }, (_, i) => `checkout-${['api', 'worker', 'cron', 'web'][i % 4]}-${(i * 2654435761 % 4294967296).toString(16)}-${i}`);
const countMatches = (accept: (value: string) => boolean): number => pods.reduce((count, pod) => (accept(pod) ? count + 1 : count), 0);
for (const expression of ['checkout-api-.*', '.*-worker-.*', 'checkout-(api|web)-[0-9a-f]+-[0-9]*7', '.*-99', pods.slice(0, 50).join('|')]) {
  const matcher = createMatcher('=~', 'pod', expression);
  const plain = new RegExp(`^(?:${expression})$`);
  compare(`match 10,000 values: ${expression.length > 20 ? `${expression.slice(0, 19)}…` : expression}`, () => countMatches((pod) => matcher.matches(pod)), () => countMatches((pod) => plain.test(pod)), 0.25);
}
for (const expression of ['(a+)+b', '(a+)+[bc]', '(a|aa)+[bc]', '(a{1,20}){1,10}[bc]', '(?i)(a+)+b']) {
  const matcher = createMatcher('=~', 'pod', expression);
  const { ms } = time(() => (matcher.matches('a'.repeat(26)) ? 1 : 0));
  console.log(`hostile ${expression.padEnd(36)} ${ms.toFixed(3).padStart(9)} ms`);
  if (ms > 10) throw new Error(`match ${expression}: ${ms.toFixed(1)} ms, want at most 10`);
}
