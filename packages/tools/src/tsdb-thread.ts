/**
 * A job on a database in a thread of its own, so that the main one hears an interruption and draws progress while the other computes:
 *
 *   main     Ctrl-C ─► control[cancelled] = 1 ─► (no end within a second) thread ended
 *   thread   tsdb-worker: does the job; sends what it prints and logs; at most PRINTS_AHEAD pieces before standard output took them
 */
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { ToolsError } from './errors.ts';
import type { ThreadLogLine } from './thread-logger.ts';
import type { ToolDeps } from './tool.ts';
import type { TsdbJob } from './tsdb-job.ts';
import { createProgressBar } from './tsdb-progress.ts';

/** Words of the memory both threads see. */
export const CONTROL = { cancelled: 0, printsTaken: 1, words: 2 } as const;

/** Pieces of output under way between the threads. */
export const PRINTS_AHEAD = 8;

/** What the thread says. */
export type TsdbMessage =
  | { readonly kind: 'print'; readonly text: string }
  | ThreadLogLine
  | { readonly kind: 'progress'; readonly label: string; readonly done: number; readonly total: number; readonly unit: string }
  /** The end; without error everything was printed. */
  | { readonly kind: 'end'; readonly error: string | undefined };

/** What the thread is started with. */
export interface TsdbWorkerData {
  readonly job: TsdbJob;
  /** CONTROL.words 32-bit words. */
  readonly control: SharedArrayBuffer;
}

/** What {@link runInThread} needs of a tool's surroundings. */
export type TsdbThreadDeps = Pick<ToolDeps, 'log' | 'print' | 'printError' | 'printed' | 'progressColumns' | 'signal' | 'clock'>;

/** How long a cancelled job may take to clean up, ms. */
const GRACE_MS = 1000;

/**
 * Runs a job in a thread until it ends or is ended.
 * @param script the built tsdb-worker
 * @throws ToolsError ERR_TSDB_JOB with the error of the thread; the signal's reason
 */
export async function runInThread(job: TsdbJob, deps: TsdbThreadDeps, script: URL = new URL('./tsdb-worker.js', import.meta.url)): Promise<void> {
  const { log, print, printed, signal } = deps;
  signal.throwIfAborted();
  const control = new Int32Array(new SharedArrayBuffer(CONTROL.words * 4));
  const bar = createProgressBar(deps);
  const worker = new Worker(script, { workerData: { job, control: control.buffer as SharedArrayBuffer } satisfies TsdbWorkerData });
  let ended: { readonly error: string | undefined } | undefined;
  let crash: unknown;
  let taken: Promise<void> = Promise.resolve();
  /** Pieces that standard output has not taken. */
  let ahead = 0;
  worker.on('error', (error) => (crash = error));
  worker.on('message', (message: TsdbMessage) => {
    switch (message.kind) {
      case 'print':
        bar.clear();
        ahead++;
        print(message.text);
        taken = taken.then(printed).then(
          () => {
            ahead--;
            Atomics.add(control, CONTROL.printsTaken, 1);
            Atomics.notify(control, CONTROL.printsTaken);
          },
          // Nobody reads any more: the signal says so too, and ends the thread.
          () => {},
        );
        break;
      case 'log':
        bar.clear();
        log[message.level](message.message, message.fields as Parameters<typeof log.info>[1]);
        break;
      case 'progress':
        bar.show(message);
        break;
      case 'end':
        ended = message;
    }
  });
  let timer: NodeJS.Timeout | undefined;
  let giveUp = (): void => {};
  const stopped = new Promise<void>((resolve) => (giveUp = resolve));
  const stop = (): void => {
    giveUp();
    Atomics.store(control, CONTROL.cancelled, 1);
    // A thread that waits for standard output wakes up too.
    Atomics.add(control, CONTROL.printsTaken, PRINTS_AHEAD);
    Atomics.notify(control, CONTROL.printsTaken);
    timer = setTimeout(() => void worker.terminate(), GRACE_MS);
  };
  signal.addEventListener('abort', stop, { once: true });
  try {
    await new Promise<void>((resolve) => worker.once('exit', () => resolve()));
    // What standard output has not taken by now is of no use to one who left.
    await Promise.race([taken, stopped]);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', stop);
    bar.clear();
  }
  if (ended !== undefined && ended.error === undefined && ahead === 0) return;
  signal.throwIfAborted();
  throw new ToolsError('ERR_TSDB_JOB', ended?.error ?? (crash instanceof Error ? crash.message : `${job.kind}: its thread ended without an answer`), crash);
}

/** Resolves when a stream has taken what was written to it. */
export async function streamTook(stream: NodeJS.WriteStream): Promise<void> {
  if (stream.writableNeedDrain) await once(stream, 'drain');
}
