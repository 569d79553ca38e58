/**
 * A task's pieces as a stream to pull from. The worker sends a piece and waits until it is taken, so one piece waits here at a time;
 * who stops reading cancels the task.
 */
import type { QueryRunner } from './query-runner.ts';
import type { QueryTask } from './query-task.ts';

/**
 * Runs a task.
 * @throws what the task threw · the signal's reason
 */
export async function* streamTask(runner: QueryRunner, task: QueryTask, signal: AbortSignal): AsyncGenerator<unknown, void> {
  const stop = new AbortController();
  let waiting: { readonly piece: unknown; readonly taken: () => void } | undefined;
  let outcome: { readonly error?: unknown } | undefined;
  let wake = (): void => {};
  const take = (piece: unknown): Promise<void> =>
    new Promise((taken) => {
      waiting = { piece, taken };
      wake();
    });
  const running = runner.run(task, take, AbortSignal.any([stop.signal, signal])).then(
    () => {
      outcome = {};
      wake();
    },
    (error: unknown) => {
      outcome = { error };
      wake();
    },
  );
  try {
    for (;;) {
      if (waiting !== undefined) {
        const { piece, taken } = waiting;
        waiting = undefined;
        yield piece;
        taken();
      } else if (outcome === undefined) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      } else {
        if ('error' in outcome) throw outcome.error;
        return;
      }
    }
  } finally {
    if (outcome === undefined) {
      stop.abort(new DOMException('the reader went away', 'AbortError'));
      waiting?.taken();
      await running;
    }
  }
}
