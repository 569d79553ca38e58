/**
 * Opening an index-header and looking things up: 1 M symbols and 1 M label pairs, as a large block has them.
 * Run: node --import tsx packages/block/src/index-header/index-header.bench.ts; GAUNTLET_BENCH_SMALL=1 for a short run.
 */
import { GrowableBytes, crc32c } from '@gauntlet/bytes';

import { openIndexHeader } from './header-reader.ts';

const isSmall = process.env['GAUNTLET_BENCH_SMALL'] === '1';
const count = isSmall ? 10_000 : 1_000_000;
const rounds = isSmall ? 2 : 9;

function framed(out: GrowableBytes, body: Uint8Array): void {
  out.putBE32(body.length);
  out.putBytes(body);
  out.putBE32(crc32c(body));
}

function buildHeader(): Uint8Array {
  const values = Array.from({ length: count }, (_, i) => `instance-${String(i).padStart(8, '0')}.example.org`);
  const symbols = new GrowableBytes(count * 34);
  symbols.putBE32(count + 1);
  for (const value of values) symbols.putUvarintString(value);
  symbols.putUvarintString('job');
  const table = new GrowableBytes(count * 42);
  table.putBE32(count);
  for (let i = 0; i < count; i++) {
    table.putUvarint(2);
    table.putUvarintString('job');
    table.putUvarintString(values[i]!);
    table.putUvarint(1_000_000 + i * 16);
  }
  const out = new GrowableBytes(count * 80);
  out.putBE32(0xbaaad792);
  out.putU8(1);
  out.putU8(2);
  out.putBE64(1_000_000 + count * 16);
  framed(out, symbols.bytes());
  const tableAt = out.length;
  framed(out, table.bytes());
  const toc = new GrowableBytes(16);
  toc.putBE64(14);
  toc.putBE64(tableAt);
  out.putBytes(toc.bytes());
  out.putBE32(crc32c(toc.bytes()));
  return out.copy();
}

function best(work: () => number): { ms: number; result: number } {
  let ms = Infinity;
  let result = 0;
  for (let i = 0; i < rounds; i++) {
    const start = performance.now();
    result = work();
    ms = Math.min(ms, performance.now() - start);
  }
  return { ms, result };
}

const bytes = buildHeader();
const lookups = Math.min(count, 100_000);
const open = best(() => openIndexHeader(bytes, 'bench').pairCount);
const header = openIndexHeader(bytes, 'bench');
const ordered = Array.from({ length: lookups }, (_, i) => `instance-${String(Math.floor((i * count) / lookups)).padStart(8, '0')}.example.org`);
let seed = 1;
const random = (): number => (seed = (seed * 48271) % 2147483647);
const shuffled = ordered.map((v) => [random(), v] as const).toSorted((a, b) => a[0] - b[0]).map(([, v]) => v);
const sum = (found: readonly ({ readonly start: number } | undefined)[]): number => found.reduce((s, r) => (s * 31 + (r?.start ?? 0)) % 2147483647, 0);
const inOrder = best(() => sum(header.postingsOf('job', ordered)));
const oneByOne = best(() => sum(shuffled.map((v) => header.postings('job', v))));
const symbols = best(() => {
  let length = 0;
  for (let i = 0; i < lookups; i++) length += header.symbol(random() % count).length;
  return length;
});
const values = best(() => header.labelValues('job').length);
console.log(`index-header of ${(bytes.length / 1e6).toFixed(1)} MB, ${count} symbols, ${count} label pairs; samples ${((header.heldBytes - bytes.length) / 1e6).toFixed(2)} MB`);
console.log(`open                      ${open.ms.toFixed(1)} ms (${open.result})`);
console.log(`postings, values in order ${((inOrder.ms / lookups) * 1e6).toFixed(0)} ns (${inOrder.result})`);
console.log(`postings, one by one      ${((oneByOne.ms / lookups) * 1e6).toFixed(0)} ns (${oneByOne.result})`);
console.log(`symbol, at random         ${((symbols.ms / lookups) * 1e6).toFixed(0)} ns (${symbols.result})`);
console.log(`all label values          ${values.ms.toFixed(1)} ms (${values.result})`);
