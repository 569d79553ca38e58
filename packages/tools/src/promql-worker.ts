/** The other end of promql-thread.ts: evaluates the job it was started with, says so, and ends. */
import { parentPort, workerData } from 'node:worker_threads';
import { createMetrics, errorText } from '@gauntlet/service-kit';
import { evaluateQuery, type QueryJob } from './promql-evaluate.ts';
import type { ThreadMessage } from './promql-thread.ts';
import { createThreadLogger } from './thread-logger.ts';

/** Characters that are sent together. */
const PRINT_CHARACTERS = 64 * 1024;

const say = (message: ThreadMessage): void => parentPort!.postMessage(message);
let unsent = '';
const flush = (): void => {
  if (unsent !== '') say({ kind: 'print', text: unsent });
  unsent = '';
};

let error: string | undefined;
try {
  await evaluateQuery(workerData as QueryJob, {
    log: createThreadLogger(say),
    metrics: createMetrics(),
    clock: Date.now,
    // Ended from outside.
    signal: new AbortController().signal,
    print(text) {
      unsent += text;
      if (unsent.length >= PRINT_CHARACTERS) flush();
    },
  });
} catch (caught) {
  error = errorText(caught);
}
flush();
say({ kind: 'end', error });
