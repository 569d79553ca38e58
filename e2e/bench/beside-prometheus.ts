/**
 * Two servers over the same blocks, measured in turns: ours (engine and block reader behind http-api in one process) and a Prometheus.
 * Wall time over HTTP and CPU time of the whole process; answers are compared before anything is timed.
 */
import { cpSync, mkdirSync, readdirSync } from 'node:fs';
import { Agent } from 'node:http';
import { join } from 'node:path';
import { findPeer } from '../harness/peers.ts';
import { freePort, type RunningProcess, startProcess, temporaryDir, waitForUrl } from '../harness/process.ts';
import { compareAnswers } from './compare-answers.ts';
import { cpuMs, fetchTimed, median } from './measure.ts';

/** A query and what is wanted of it. */
export interface Row {
  readonly name: string;
  readonly expr: string;
  /** What Prometheus is asked where a function has another name there. */
  readonly theirExpr?: string;
  readonly startS: number;
  /** Also the time of an instant query. */
  readonly endS: number;
  /** Undefined: an instant query. */
  readonly stepS?: number;
  /** How often as fast as Prometheus it is to be. */
  readonly goal: number;
  /** Below this the run fails. */
  readonly floor: number;
  /** Milliseconds a request may cost beside its computing, for rows that compute next to nothing; default 0. Not in the printed ratio. */
  readonly allowanceMs?: number;
}

/** One request. */
export interface Measured {
  readonly ms: number;
  /** CPU time of the process, ms. */
  readonly cpu: number;
  readonly bytes: number;
}

/** A server that can be asked. */
export interface Side {
  readonly which: 'ours' | 'theirs';
  readonly process: RunningProcess;
  readonly base: string;
  readonly agent: Agent;
}

/** The Prometheus to measure against: GAUNTLET_BENCH_PROMETHEUS, else the one on PATH, if there is any. */
export function prometheusPath(): string | undefined {
  return process.env['GAUNTLET_BENCH_PROMETHEUS'] ?? findPeer('prometheus');
}

/** Copies blocks to where a Prometheus may have them as its own. */
export function copyForPrometheus(blocksDir: string): string {
  const dir = join(temporaryDir('bench'), 'data');
  mkdirSync(dir);
  for (const block of readdirSync(blocksDir)) cpSync(join(blocksDir, block), join(dir, block), { recursive: true });
  return dir;
}

/** Starts a server. @param blocksDir for theirs a folder of `copyForPrometheus` */
export async function startSide(which: Side['which'], blocksDir: string): Promise<Side> {
  const address = `127.0.0.1:${await freePort()}`;
  // The young generation of a query worker (querier, query-runner.ts).
  const nodeFlags = process.env['GAUNTLET_BENCH_NODE_FLAGS']?.split(' ') ?? ['--max-semi-space-size=4'];
  const running =
    which === 'ours'
      ? startProcess({ name: 'gauntlet', command: process.execPath, args: [...nodeFlags, join(import.meta.dirname, 'block-server.mjs'), blocksDir, address] })
      : startProcess({
          name: 'prometheus',
          command: prometheusPath()!,
          args: ['--config.file=/dev/null', `--storage.tsdb.path=${blocksDir}`, '--storage.tsdb.retention.time=100y', `--web.listen-address=${address}`, '--log.level=error', '--query.max-samples=100000000'],
        });
  await waitForUrl(`http://${address}/-/ready`, running, 60_000);
  return { which, process: running, base: `http://${address}`, agent: new Agent({ keepAlive: true, maxSockets: 1 }) };
}

/** Ends a server. */
export async function stopSide({ process: running, agent }: Side): Promise<void> {
  agent.destroy();
  await running.stop();
}

function urlOf({ which, base }: Side, { expr, theirExpr, startS, endS, stepS }: Row): string {
  const query = which === 'theirs' ? (theirExpr ?? expr) : expr;
  if (stepS === undefined) return `${base}/api/v1/query?${new URLSearchParams({ query, time: String(endS) })}`;
  return `${base}/api/v1/query_range?${new URLSearchParams({ query, start: String(startS), end: String(endS), step: String(stepS) })}`;
}

/** Asks once. */
export async function measureOnce(side: Side, row: Row): Promise<Measured> {
  const before = cpuMs(side.process.pid);
  const { ms, bytes } = await fetchTimed(urlOf(side, row), side.agent);
  return { ms, bytes, cpu: cpuMs(side.process.pid) - before };
}

/** Smallest of the values. */
export function least(values: readonly number[]): number {
  return Math.min(...values);
}

/** Milliseconds for a table. */
export function showMs(value: number, width: number = 6): string {
  return value.toFixed(value < 100 ? 1 : 0).padStart(width);
}

/** Rounds before those that count, so that code is compiled: many of a query that is short. */
const WARM_ROUNDS = 12;
const WARM_MS = 1500;

/** Rows of a smoke run last some milliseconds, and a neighbour on the machine as long: they fail at this share of their floor. */
const SMOKE_SHARE = process.env['GAUNTLET_BENCH_SMALL'] === '1' ? 0.5 : 1;

/** Counts the rows that are too slow. */
export class Verdicts {
  below = 0;

  /** A ratio beside its goal. */
  judge(ratio: number, goal: number, fullFloor: number): string {
    const floor = fullFloor * SMOKE_SHARE;
    if (ratio < floor) this.below++;
    return `${ratio < floor ? 'BELOW THE FLOOR' : ratio < goal ? 'below the goal' : 'ok'} (goal ${goal}, floor ${floor})`;
  }
}

/**
 * Measures a row in turns and prints it: least and middle of the rounds, `ratio` is Prometheus' least by ours. What else runs on a machine disturbs
 * wall time more than CPU time, so a row counts by the better of both ratios.
 * @param mode how answers are compared; see `compareAnswers`
 * @throws when the answers differ
 */
export async function measureRow(row: Row, ours: Side, theirs: Side, rounds: number, verdicts: Verdicts, mode: 'series' | 'times' = 'series'): Promise<void> {
  const [a, b] = [await fetchTimed(urlOf(ours, row), ours.agent), await fetchTimed(urlOf(theirs, row), theirs.agent)];
  const equal = compareAnswers(row.expr, a.text, b.text, mode);
  const runs: { ours: Measured[]; theirs: Measured[] } = { ours: [], theirs: [] };
  const warmUntil = performance.now() + WARM_MS;
  for (let round = 0; round < WARM_ROUNDS && (round < 2 || performance.now() < warmUntil); round++) {
    for (const side of [ours, theirs]) await measureOnce(side, row);
  }
  for (let round = 0; round < rounds; round++) {
    runs.ours.push(await measureOnce(ours, row));
    runs.theirs.push(await measureOnce(theirs, row));
  }
  const column = (side: Side['which'], key: 'ms' | 'cpu'): number[] => runs[side].map((run) => run[key]);
  const [wall, cpu] = (['ms', 'cpu'] as const).map((key) => least(column('theirs', key)) / least(column('ours', key))) as [number, number];
  const allowed = (key: 'ms' | 'cpu'): number => least(column('theirs', key)) / Math.max(0.1, least(column('ours', key)) - (row.allowanceMs ?? 0));
  const cell = (side: Side['which']): string => `${showMs(least(column(side, 'ms')))} (${showMs(median(column(side, 'ms')), 1)}) cpu ${showMs(least(column(side, 'cpu')))} (${showMs(median(column(side, 'cpu')), 1)})`;
  console.log(
    `${row.name.padEnd(24)} ours ${cell('ours')}   prometheus ${cell('theirs')}   ratio wall ${wall.toFixed(1)}x cpu ${cpu.toFixed(1)}x  ${verdicts.judge(Math.max(allowed('ms'), allowed('cpu')), row.goal, row.floor)}  ${(a.bytes / 1e6).toFixed(2)} MB, equal texts ${(equal * 100).toFixed(1)} %`,
  );
}
