/**
 * An evaluation in a thread of its own, so that the main one hears an interruption while the other computes:
 *
 *   main     Ctrl-C, time limit ─► thread ended ─► temporary folder removed
 *   thread   promql-worker: evaluates; sends what it prints and logs
 */
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { ToolsError } from './errors.ts';
import type { ThreadLogLine } from './thread-logger.ts';
import type { QueryJob } from './promql-evaluate.ts';
import type { ToolDeps } from './tool.ts';

/** What the thread says. */
export type ThreadMessage =
  | { readonly kind: 'print'; readonly text: string }
  | ThreadLogLine
  /** The end; without error everything was printed. */
  | { readonly kind: 'end'; readonly error: string | undefined };

/**
 * Runs an evaluation in a thread until it ends or is ended.
 * @param script the built promql-worker
 * @throws ToolsError ERR_QUERY_FAILED with the error of the thread; the signal's reason
 */
export async function evaluateInThread(job: QueryJob, { log, print, signal }: Pick<ToolDeps, 'log' | 'print' | 'signal'>, script: URL = new URL('./promql-worker.js', import.meta.url)): Promise<void> {
  signal.throwIfAborted();
  const worker = new Worker(script, { workerData: job });
  let ended: { readonly error: string | undefined } | undefined;
  worker.on('message', (message: ThreadMessage) => {
    if (message.kind === 'print') print(message.text);
    else if (message.kind === 'log') log[message.level](message.message, message.fields as Parameters<typeof log.info>[1]);
    else ended = message;
  });
  const stop = (): void => void worker.terminate();
  signal.addEventListener('abort', stop);
  try {
    await once(worker, 'exit');
  } finally {
    signal.removeEventListener('abort', stop);
  }
  if (ended !== undefined && ended.error === undefined) return;
  signal.throwIfAborted();
  throw new ToolsError('ERR_QUERY_FAILED', ended?.error ?? 'evaluate query: its thread ended without an answer');
}
