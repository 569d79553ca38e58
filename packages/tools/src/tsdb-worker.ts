/** The other end of tsdb-thread.ts: does the job it was started with, says so, and ends. */
import { parentPort, workerData } from 'node:worker_threads';
import { errorText } from '@gauntlet/service-kit';
import { createThreadLogger } from './thread-logger.ts';
import { runTsdbJob } from './tsdb-job.ts';
import { CONTROL, PRINTS_AHEAD, type TsdbMessage, type TsdbWorkerData } from './tsdb-thread.ts';

/** Characters that are sent together. */
const PRINT_CHARACTERS = 64 * 1024;
/** Time between two drawings of progress, ms. */
const PROGRESS_MS = 100;

const { job, control: shared } = workerData as TsdbWorkerData;
const control = new Int32Array(shared);
const say = (message: TsdbMessage): void => parentPort!.postMessage(message);

const poll = (): void => {
  if (Atomics.load(control, CONTROL.cancelled) !== 0) throw new Error('interrupted');
};

let unsent: string[] = [];
let unsentCharacters = 0;
let sent = 0;
const flush = (): void => {
  if (unsentCharacters === 0) return;
  say({ kind: 'print', text: unsent.join('') });
  unsent = [];
  unsentCharacters = 0;
  sent++;
  for (;;) {
    const taken = Atomics.load(control, CONTROL.printsTaken);
    if (sent - taken < PRINTS_AHEAD) break;
    Atomics.wait(control, CONTROL.printsTaken, taken);
  }
  poll();
};

let drawnMs = 0;
let error: string | undefined;
try {
  await runTsdbJob(job, {
    log: createThreadLogger(say),
    clock: Date.now,
    random: Math.random,
    poll,
    print(text) {
      unsent.push(text);
      unsentCharacters += text.length;
      if (unsentCharacters >= PRINT_CHARACTERS) flush();
    },
    progress(label, done, total, unit) {
      const nowMs = Date.now();
      if (nowMs - drawnMs < PROGRESS_MS && nowMs >= drawnMs) return;
      drawnMs = nowMs;
      say({ kind: 'progress', label, done, total, unit });
    },
  });
} catch (caught) {
  error = errorText(caught);
}
try {
  flush();
} catch (caught) {
  error ??= errorText(caught);
}
say({ kind: 'end', error });
