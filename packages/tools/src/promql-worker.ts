/** The other end of promql-thread.ts: evaluates the job it was started with, says so, and ends. */
import { parentPort, workerData } from 'node:worker_threads';
import { createMetrics, errorText, type Logger, type LogFields } from '@gauntlet/service-kit';
import { evaluateQuery, type QueryJob } from './promql-evaluate.ts';
import type { ThreadMessage } from './promql-thread.ts';

/** Characters that are sent together. */
const PRINT_CHARACTERS = 64 * 1024;

const say = (message: ThreadMessage): void => parentPort!.postMessage(message);
let unsent = '';
const flush = (): void => {
  if (unsent !== '') say({ kind: 'print', text: unsent });
  unsent = '';
};

/** Fields as plain data, which alone can go to another thread. */
function plainFields(fields: LogFields): Record<string, unknown> {
  const plain: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(fields)) plain[key] = value instanceof Error ? errorText(value) : typeof value === 'object' ? JSON.stringify(value) : typeof value === 'function' || typeof value === 'symbol' ? String(value) : value;
  return plain;
}

function createThreadLogger(inherited: LogFields): Logger {
  const line =
    (level: 'error' | 'warn' | 'info' | 'debug') =>
    (message: string, fields: LogFields = {}): void =>
      say({ kind: 'log', level, message, fields: plainFields({ ...inherited, ...fields }) });
  // The main thread knows the level and leaves out what is below.
  return { error: line('error'), warn: line('warn'), info: line('info'), debug: line('debug'), enabled: () => true, child: (fields) => createThreadLogger({ ...inherited, ...fields }) };
}

let error: string | undefined;
try {
  await evaluateQuery(workerData as QueryJob, {
    log: createThreadLogger({}),
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
