/**
 * Writing the index of very many series: time per series, and the memory that the writer takes beside symbols and buffers.
 * `node --expose-gc --import tsx packages/tsdb/src/index-file/index-writer.bench.ts`
 *
 * 1 M series of ten labels, 10 M pairs: more than are held at a time, so entries are read again for the postings.
 */
import { closeSync, fstatSync, fsyncSync, mkdtempSync, openSync, readSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { FileHandle, FileSystem } from '../file-system.ts';
import { createIndexWriter } from './index-writer.ts';

const isSmall = process.env['GAUNTLET_BENCH_SMALL'] === '1';
const SERIES = isSmall ? 20_000 : 1_000_000;
const PODS = SERIES / 100;
const NAMES = ['__name__', 'cluster', 'container', 'endpoint', 'instance', 'job', 'namespace', 'node', 'pod', 'service'];

/** What the writer needs of a disk. */
function diskOf(): FileSystem {
  const refuse = (): never => {
    throw new Error('bench: the writer needs files only');
  };
  return {
    open(path) {
      const fd = openSync(path, 'w+');
      let end = 0;
      const handle: FileHandle = {
        path,
        read: (target, offset) => readSync(fd, target, 0, target.length, offset),
        write: refuse,
        append(data) {
          for (let at = 0; at < data.length; ) at += writeSync(fd, data, at, data.length - at, end + at);
          end += data.length;
        },
        fsync: () => fsyncSync(fd),
        truncate: refuse,
        size: () => fstatSync(fd).size,
        close: () => closeSync(fd),
      };
      return handle;
    },
    rename: refuse, remove: refuse, mkdir: refuse, list: refuse, stat: refuse, fsyncDir: refuse, lock: refuse,
  };
}

/** Symbols in byte order; series by ordinals of them. */
const padded = (i: number): string => String(i).padStart(7, '0');
const values = [['m', 100], ['c', 1], ['d', 5], ['e', 3], ['i', PODS], ['j', 20], ['s', 50], ['h', 200], ['p', PODS], ['v', 20]] as const;
const texts = new Set(['', ...NAMES]);
for (const [letter, count] of values) for (let i = 0; i < count; i++) texts.add(`value-${letter}-${padded(i)}`);
const symbols = [...texts].sort();
const ordinalOf = new Map(symbols.map((symbol, i) => [symbol, i]));
const table = values.map(([letter, count]) => Uint32Array.from({ length: count }, (_, i) => ordinalOf.get(`value-${letter}-${padded(i)}`)!));
const names = NAMES.map((name) => ordinalOf.get(name)!);

const dir = mkdtempSync(join(tmpdir(), 'index-writer-'));
try {
  globalThis.gc?.();
  const before = process.memoryUsage.rss();
  const start = performance.now();
  const writer = createIndexWriter(diskOf(), join(dir, 'index'), symbols);
  const ordinals = new Uint32Array(20);
  const chunks = { count: 12, mint: new Float64Array(12), maxt: new Float64Array(12), refs: new Float64Array(12) };
  let ref = 8;
  let peak = 0;
  for (let i = 0; i < SERIES; i++) {
    // Metric, instance and pod vary, in label order; the other labels have one value.
    const pod = i % PODS;
    for (let label = 0; label < 10; label++) {
      const value = label === 0 ? Math.floor(i / PODS) : label === 4 || label === 8 ? pod : 0;
      ordinals[label * 2] = names[label]!;
      ordinals[label * 2 + 1] = table[label]![value]!;
    }
    for (let chunk = 0; chunk < 12; chunk++) {
      chunks.mint[chunk] = 1772409600000 + chunk * 600_000;
      chunks.maxt[chunk] = chunks.mint[chunk]! + 585_000;
      chunks.refs[chunk] = ref;
      ref += 220;
    }
    writer.addSeriesByOrdinal(ordinals, 20, chunks);
    if (i % 50_000 === 0) peak = Math.max(peak, process.memoryUsage.rss());
  }
  const streamed = performance.now();
  writer.finish();
  peak = Math.max(peak, process.memoryUsage.rss(), process.resourceUsage().maxRSS * 1024);
  const end = performance.now();
  console.log(`${SERIES} series, ${SERIES * 10} pairs, ${symbols.length} symbols: ${((streamed - start) * 1e6 / SERIES).toFixed(0)} ns per series streamed, ${((end - streamed) * 1e6 / SERIES).toFixed(0)} for postings; RSS ${(before / 2 ** 20).toFixed(0)} MiB before, at most ${(peak / 2 ** 20).toFixed(0)}`);
  const perSeries = (peak - before) / SERIES;
  if (!isSmall && perSeries > 400) throw new Error(`write index: ${perSeries.toFixed(0)} bytes of memory per series, want at most 400`);
} finally {
  rmSync(dir, { recursive: true });
}
