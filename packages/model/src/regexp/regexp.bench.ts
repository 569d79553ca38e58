/** Label patterns over 10,000 values: our matcher beside V8's, ns per value. Run: node --import tsx packages/model/src/regexp/regexp.bench.ts */
import { compileAnchored } from './compile-regexp.ts';

const count = Number(process.argv[2] ?? 10_000);
let seed = 1;
const random = (n: number): number => {
  seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0;
  return Math.floor((seed / 2 ** 32) * n);
};
const make: (() => string)[] = [
  () => `node_${random(1000)}`,
  () => `10.244.${random(255)}.${random(255)}:9100`,
  () => `thanos-store-${random(100)}-abc${'xyz'.repeat(random(3))}-${1_000_000_000 + random(1e9)}`,
  () => `${['prod', 'staging', 'dev'][random(3)]}-${random(100)}`,
  () => ['a', 'b', 'c', 'd'][random(4)]!,
];
const values = Array.from({ length: count }, () => make[random(make.length)]!());
const patterns = ['node_.*', '.*store.*', 'a|b|c', '(prod|staging)-.+', '10\\.244\\.[0-9]+\\.[0-9]+:9100', '.*-(abc|def)[a-z]*-[0-9]{10}', Array.from({ length: 500 }, (_, i) => `n${i}`).join('|'), '(?i)THANOS.*', '[a-z]+-[a-z]+-[0-9]+-.*'];

function nsPerValue(matches: (text: string) => boolean): [number, number] {
  let hits = 0;
  let best = Number.POSITIVE_INFINITY;
  for (let round = 0; round < 20; round++) {
    const start = process.hrtime.bigint();
    hits = 0;
    for (const value of values) if (matches(value)) hits++;
    best = Math.min(best, Number(process.hrtime.bigint() - start) / values.length);
  }
  return [best, hits];
}

for (const pattern of patterns) {
  const v8 = new RegExp(`^(?:${pattern.replace('(?i)', '')})$`, pattern.startsWith('(?i)') ? 'is' : 's');
  const [ours, hits] = nsPerValue(compileAnchored(pattern).matches);
  const [theirs, theirHits] = nsPerValue((text) => v8.test(text));
  if (hits !== theirHits) throw new Error(`match ${pattern}: ours ${hits}, V8 ${theirHits}`);
  console.log(`${pattern.slice(0, 40).padEnd(42)} ours ${ours.toFixed(1).padStart(6)}  V8 ${theirs.toFixed(1).padStart(6)}  hits ${hits}`);
}
