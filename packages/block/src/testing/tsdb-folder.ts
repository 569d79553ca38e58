/** A TSDB directory as Prometheus leaves it, made of copies of the recorded block under new ids and times. */
import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { formatBlockMeta, parseBlockMeta } from '@gauntlet/tsdb';
import type { BlockMeta } from '@gauntlet/tsdb';

import { GOLDEN_BLOCK, TESTDATA } from './golden.ts';

/** The n-th id of a test: valid, ascending. */
export function testBlockId(n: number): string {
  return `01M7YH8PRB5EGPCY8YH5HQ${String(n).padStart(4, '0')}`;
}

/** Writes a block directory `<dir>/<id>` without a thanos section. @returns its meta */
export function writeLocalBlock(dir: string, n: number, more: Partial<BlockMeta> = {}): BlockMeta {
  const id = testBlockId(n);
  const path = join(dir, id);
  mkdirSync(dir, { recursive: true });
  cpSync(join(TESTDATA, 'block', GOLDEN_BLOCK), path, { recursive: true });
  const { thanos, ...base } = parseBlockMeta(readFileSync(join(path, 'meta.json')), id);
  void thanos;
  const meta: BlockMeta = { ...base, ulid: id, minTime: n * 7_200_000, maxTime: (n + 1) * 7_200_000, compaction: { level: 1, sources: [id] }, ...more };
  writeFileSync(join(path, 'meta.json'), formatBlockMeta(meta));
  return meta;
}
