/** Blocks with known content for a Prometheus of a test: samples → OpenMetrics text → `promtool tsdb create-blocks-from`. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { needPeer } from './peers.ts';
import { temporaryDir } from './process.ts';

/** A series to be: its value at any time. */
export interface HistorySeries {
  readonly name: string;
  readonly labels: readonly (readonly [string, string])[];
  readonly valueAt: (tMs: number) => number;
}

const BLOCK_NAME = /^[0-7][0-9A-HJKMNP-TV-Z]{25}$/;

/** Names of the blocks in a TSDB folder. */
export function blocksIn(dir: string): readonly string[] {
  return readdirSync(dir).filter((name) => BLOCK_NAME.test(name)).sort();
}

const escapeValue = (value: string): string => value.replace(/[\\"\n]/g, (char) => (char === '\n' ? '\\n' : `\\${char}`));

/**
 * Writes 2 h blocks of level 1 into `dir`, as a Prometheus that had scraped at `timesMs` (ascending) would have.
 * @returns names of the blocks
 */
export function writeHistory(dir: string, series: readonly HistorySeries[], timesMs: readonly number[]): readonly string[] {
  mkdirSync(dir, { recursive: true });
  const lines: string[] = [];
  for (const { name, labels, valueAt } of series) {
    const id = `${name}{${labels.map(([label, value]) => `${label}="${escapeValue(value)}"`).join(',')}}`;
    for (const tMs of timesMs) lines.push(`${id} ${valueAt(tMs)} ${(tMs / 1000).toFixed(3)}`);
  }
  const text = join(temporaryDir('history'), 'history.om');
  writeFileSync(text, `${lines.join('\n')}\n# EOF\n`);
  const { status, stderr } = spawnSync(needPeer('promtool'), ['tsdb', 'create-blocks-from', 'openmetrics', text, dir], { encoding: 'utf8' });
  rmSync(text);
  if (status !== 0) throw new Error(`write history into ${dir}: promtool: ${stderr}`);
  return blocksIn(dir);
}
