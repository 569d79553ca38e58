/**
 * All rule groups: which of them run, and what becomes of them at a reload.
 *
 *   new and unchanged groups        go on
 *   changed: same file and name     the old one ends its rule, the new one takes over alerts and series
 *   removed                         ends its rule; two intervals later its series get stale markers
 *
 * Source: Prometheus rules/manager.go. One manager serves both partial response strategies; a group that changes its own keeps its state.
 */
import { createRuleMetrics } from './rule-metrics.ts';
import { RuleGroup, type RuleGroupDeps } from './rule-group.ts';
import type { RuleGroupConfig, RuleManager, RuleManagerDeps, RuleManagerOptions } from './types.ts';

/** A group, and what it waits for before it is the one that counts. */
interface Entry {
  readonly group: RuleGroup;
  /** Configuration as text, defaults filled in. */
  readonly signature: string;
  /** Shown instead as long as the group has not taken over. */
  predecessor: RuleGroup | undefined;
  /** Resolves when the group has ended; undefined before it runs. */
  ended: Promise<void> | undefined;
}

/** Makes a manager without groups. */
export function createRuleManager(deps: RuleManagerDeps, options: RuleManagerOptions): RuleManager {
  let entries = new Map<string, Entry>();
  let isFirstUpdate = true;
  let running: AbortSignal | undefined;
  let beside = 0;
  /** Everything that has to end before `run` does. */
  const tasks = new Set<Promise<void>>();
  const metrics = createRuleMetrics(deps.metrics, () => [...entries.values()].map(({ group }) => group.counts));
  const groupDeps: RuleGroupDeps = {
    ...deps,
    metrics,
    tryEnter: () => beside < options.concurrency && ++beside > 0,
    leave: () => {
      beside--;
    },
  };

  const track = (task: Promise<void>): Promise<void> => {
    tasks.add(task);
    void task.finally(() => tasks.delete(task));
    return task;
  };

  const start = (entry: Entry, signal: AbortSignal): void => {
    entry.ended ??= track(entry.group.run(signal));
  };

  /** The new entry begins where the old one ends. */
  const replace = (old: Entry, entry: Entry): void => {
    old.group.stop();
    const takeOver = (): void => {
      entry.group.takeOver(old.group);
      entry.predecessor = undefined;
    };
    if (old.ended === undefined) {
      takeOver();
      return;
    }
    entry.predecessor = old.predecessor ?? old.group;
    entry.ended = track(
      old.ended.then(async () => {
        takeOver();
        if (running !== undefined) await entry.group.run(running);
      }),
    );
  };

  const remove = (old: Entry): void => {
    old.group.stop();
    if (old.ended === undefined || running === undefined) return;
    const signal = running;
    void track(old.ended.then(() => old.group.markRemoved(signal)));
  };

  return {
    update(groups) {
      if (running?.aborted === true) return;
      const next = new Map<string, Entry>();
      for (const config of groups) {
        const key = JSON.stringify([config.file, config.name]);
        if (next.has(key)) continue;
        const old = entries.get(key);
        entries.delete(key);
        const signature = signatureOf(config, options);
        if (old !== undefined && old.signature === signature) {
          next.set(key, old);
          continue;
        }
        const shouldRestore = isFirstUpdate || (old?.group.shouldRestore() ?? false);
        const entry: Entry = { group: new RuleGroup(config, groupDeps, options, shouldRestore), signature, predecessor: undefined, ended: undefined };
        if (old !== undefined) replace(old, entry);
        next.set(key, entry);
      }
      for (const old of entries.values()) remove(old);
      entries = next;
      isFirstUpdate = false;
      if (running !== undefined) for (const entry of entries.values()) start(entry, running);
    },

    async run(signal) {
      running = signal;
      for (const entry of entries.values()) start(entry, signal);
      await new Promise<void>((resolve) => {
        if (signal.aborted) resolve();
        else signal.addEventListener('abort', () => resolve(), { once: true });
      });
      while (tasks.size > 0) await Promise.all(tasks);
    },

    groups() {
      return [...entries.values()]
        .map(({ group, predecessor }) => (predecessor ?? group).state())
        .sort((a, b) => compareTexts(a.file, b.file) || compareTexts(a.name, b.name));
    },
  };
}

function signatureOf(config: RuleGroupConfig, options: RuleManagerOptions): string {
  return JSON.stringify([config.intervalMs ?? options.defaultIntervalMs, config.queryOffsetMs ?? options.queryOffsetMs, config.limit, config.strategy, config.rules]);
}

function compareTexts(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
