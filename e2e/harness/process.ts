/**
 * Child processes of a test: started on loopback, waited for by what they answer (never by time), their output kept for the
 * failure message, ended by pid.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** What is to be ended, and then removed, when the run is over, however it went. */
const processes = new Set<() => void>();
const folders = new Set<string>();
process.once('exit', endEverything);

/** Kills every process and removes every folder of this harness that is still there. Jest hides the process' exit from tests, so a set-up file calls this after each. */
export function endEverything(): void {
  for (const end of processes) end();
  processes.clear();
  // A process that was just killed may still be writing: a folder that is not empty after all is tried again.
  for (const folder of folders) rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 });
  folders.clear();
}

/** Where the kernel can be asked to (util-linux), a child dies with this process even when this one is killed; the pid stays the program's own. */
const LEASH: readonly string[] = existsSync('/usr/bin/setpriv') ? ['/usr/bin/setpriv', '--pdeathsig=KILL'] : [];

export interface ProcessOptions {
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
}

export interface RunningProcess {
  readonly name: string;
  readonly pid: number;
  /** Everything written to stdout and stderr so far (last 1 MB). */
  output(): string;
  /** Exit code or signal, once ended. */
  readonly exited: Promise<{ readonly code: number | null; readonly signal: NodeJS.Signals | null }>;
  readonly isRunning: () => boolean;
  /** Sends the signal and waits for the end; SIGKILL after 15 s without one. */
  stop(signal?: NodeJS.Signals): Promise<void>;
}

const OUTPUT_BYTES_MAX = 1 << 20;

/** Starts a process. It is ended with the test run if nobody stops it. */
export function startProcess({ name, command, args, env = {}, cwd }: ProcessOptions): RunningProcess {
  const [program, ...words] = [...LEASH, command, ...args] as [string, ...string[]];
  const child: ChildProcess = spawn(program, words, { cwd, env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  const take = (data: Buffer): void => {
    output = (output + data.toString()).slice(-OUTPUT_BYTES_MAX);
  };
  child.stdout!.on('data', take);
  child.stderr!.on('data', take);
  let isRunning = true;
  const exited = new Promise<{ code: number | null; signal: NodeJS.Signals | null }>((resolve) => {
    child.on('error', (error) => {
      isRunning = false;
      output += `${error}\n`;
      resolve({ code: 127, signal: null });
    });
    child.on('close', (code, signal) => {
      isRunning = false;
      resolve({ code, signal });
    });
  });
  const end = (): void => void child.kill('SIGKILL');
  processes.add(end);
  void exited.then(() => processes.delete(end));
  return {
    name,
    pid: child.pid ?? -1,
    output: () => output,
    exited,
    isRunning: () => isRunning,
    async stop(signal = 'SIGTERM') {
      if (!isRunning) return;
      child.kill(signal);
      const timer = setTimeout(end, 15_000);
      await exited;
      clearTimeout(timer);
    },
  };
}

/**
 * Polls until the condition gives a value.
 * @throws when the deadline passes or the process ends first; the message carries the process' output
 */
export async function waitFor<T>(what: string, condition: () => Promise<T | undefined | false>, { timeoutMs = 30_000, process: watched }: { readonly timeoutMs?: number; readonly process?: RunningProcess } = {}): Promise<T> {
  const deadline = performance.now() + timeoutMs;
  let last = '';
  for (;;) {
    try {
      const value = await condition();
      if (value !== undefined && value !== false) return value;
    } catch (error) {
      last = String(error);
    }
    const ended = watched !== undefined && !watched.isRunning();
    if (ended || performance.now() > deadline) {
      throw new Error(`wait for ${what}: ${ended ? `${watched.name} ended` : `nothing after ${timeoutMs} ms`}${last === '' ? '' : `, last: ${last}`}${watched === undefined ? '' : `\n--- ${watched.name}\n${watched.output().slice(-6000)}`}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** Waits until a URL answers 200. */
export function waitForUrl(url: string, process: RunningProcess, timeoutMs = 30_000): Promise<true> {
  return waitFor(url, async () => (await fetch(url)).ok, { process, timeoutMs });
}

/** A port that was free a moment ago, for programs that cannot pick one themselves. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}

/** A folder that goes with the test run. */
export function temporaryDir(name: string): string {
  const dir = mkdtempSync(join(tmpdir(), `gauntlet-${name}-`));
  folders.add(dir);
  return dir;
}
