/** A part of a run group that is made of parts known only when it starts, because they need addresses of those before. */
import type { RunPart } from '@gauntlet/service-kit';

/**
 * Makes the part.
 * @param build called at the start; what it gives is started in its order, run together and stopped in reverse
 */
export function nestedParts(name: string, build: () => Promise<readonly RunPart[]>): RunPart {
  const started: RunPart[] = [];
  const stop = async (reason: string): Promise<void> => {
    for (const part of started.splice(0).reverse()) await part.stop?.(reason);
  };
  return {
    name,
    async start() {
      try {
        for (const part of await build()) {
          await part.start?.();
          started.push(part);
        }
      } catch (error) {
        await stop('start went wrong');
        throw error;
      }
    },
    async run(signal) {
      const running = started.flatMap((part) => (part.run === undefined ? [] : [part.run(signal)]));
      const all = Promise.allSettled(running);
      // The first that ends, ends the group, as if it were a part of it by itself.
      await (running.length === 0 ? untilAborted(signal) : Promise.race(running));
      if (signal.aborted) await all;
    },
    stop,
  };
}

/** Resolves when the signal is aborted. */
export function untilAborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
}
