/**
 * The script tests of Prometheus 3.14 (data of others, found by GAUNTLET_SHARED) and our own scripts, run through the engine. What fails must be
 * named in testdata/known-gaps.txt, and what is named there must fail.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import { createKernels } from '@gauntlet/kernels';
import { runScript, type ScriptEngine } from './promqltest/run-script.ts';
import { createScriptEngine } from './promqltest/script-engine.ts';

const shared = process.env['GAUNTLET_SHARED'] ?? new URL('../../../../shared', import.meta.url).pathname;
const scripts = `${shared}/conformance/promqltest`;
const testdata = new URL('../testdata', import.meta.url).pathname;

/** `file:line reason` → reason by place. */
function knownGaps(): Map<string, string> {
  const gaps = new Map<string, string>();
  const path = `${testdata}/known-gaps.txt`;
  if (!existsSync(path)) return gaps;
  for (const line of readFileSync(path, 'utf8').split('\n')) {
    if (line === '' || line.startsWith('#')) continue;
    const space = line.indexOf(' ');
    gaps.set(line.slice(0, space), line.slice(space + 1));
  }
  return gaps;
}

/** Our own scripts have no known gaps. */
async function check(folder: string, file: string, engine: ScriptEngine): Promise<void> {
  const gaps = folder === testdata ? new Map<string, string>() : knownGaps();
  const failed: string[] = [];
  const unexpected: string[] = [];
  const outcomes = await runScript(readFileSync(`${folder}/${file}`, 'utf8'), engine);
  for (const { line, expr, problem } of outcomes) {
    const place = `${file}:${line}`;
    if (problem !== undefined) failed.push(place);
    if (problem !== undefined && !gaps.has(place)) unexpected.push(`${place} ${expr}\n    ${problem}`);
  }
  const closed = [...gaps.keys()].filter((place) => place.startsWith(`${file}:`) && !failed.includes(place));
  expect(unexpected).toEqual([]);
  expect(closed).toEqual([]);
  expect(outcomes.length).toBeGreaterThan(0);
}

describe.each(['wasm', 'js'] as const)('conformance scripts on %s kernels', (backend) => {
  const engine = createScriptEngine({ kernels: createKernels({ backend }) });
  if (!existsSync(scripts)) {
    test.skip('scripts of Prometheus: no data folder (GAUNTLET_SHARED)', () => undefined);
  } else {
    for (const file of readdirSync(scripts).filter((name) => name.endsWith('.test')).sort()) {
      test(`Prometheus ${file}`, () => check(scripts, file, engine));
    }
  }
  for (const file of readdirSync(testdata).filter((name) => name.endsWith('.test')).sort()) {
    test(`own ${file}`, () => check(testdata, file, engine));
  }
});
