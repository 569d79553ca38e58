/**
 * Random lives of a ruler: results, failures, refusals, reloads. Whatever happens, no series is left without an end, and none is ended
 * that the last good result had.
 */
import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { labelsKey } from './recording-rule.ts';
import { createRuleBench, element } from './testing/rule-bench.ts';
import type { RecordingRuleConfig, RuleGroupConfig, RuleSample } from './types.ts';

const START = 1_700_000_000_000;
const INTERVAL = 10_000;

/** What happens in one interval: per query the elements it gives (undefined: it fails), and the rules the group has from then on. */
const interval = fc.record({
  x: fc.option(fc.subarray(['a', 'b', 'c']), { nil: undefined }),
  y: fc.option(fc.subarray(['a', 'b', 'c']), { nil: undefined }),
  reload: fc.option(fc.subarray(['x', 'y', 'x2']), { nil: undefined, freq: 4 }),
});

/** `x2` is rule x with a changed expression: a reload takes its series over. */
function rulesOf(names: readonly string[]): RecordingRuleConfig[] {
  return names
    .filter((name) => name !== 'x' || !names.includes('x2'))
    .map((name) => ({ kind: 'recording', name: name === 'x2' ? 'x' : name, expr: name === 'x2' ? 'x + 0' : name, labels: [] }));
}

test('every series ends with a marker once nothing writes it, and not before', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(interval, { minLength: 1, maxLength: 12 }), fc.boolean(), async (intervals, usesMany) => {
      let now = intervals[0]!;
      const last = new Map<string, RuleSample>();
      const bench = createRuleBench(
        START,
        (expr) => {
          const elements = expr.startsWith('x') ? now.x : now.y;
          if (elements === undefined) throw new Error('down');
          return elements.map((job) => element({ job }, 1));
        },
        { concurrency: usesMany ? 4 : 1 },
        {
          appender: {
            append(samples) {
              const refused = samples
                .filter((sample) => (last.get(labelsKey(sample.labels))?.timestampMs ?? -1) >= sample.timestampMs)
                .map((sample) => ({ sample, reason: 'out of order sample' }));
              for (const sample of samples) if (!refused.some((each) => each.sample === sample)) last.set(labelsKey(sample.labels), sample);
              return { refused };
            },
          },
        },
      );
      const groupOf = (names: readonly string[]): RuleGroupConfig[] => [{ name: 'g', file: 'r.yml', intervalMs: INTERVAL, queryOffsetMs: undefined, limit: 0, strategy: 'abort', rules: rulesOf(names) }];
      /** What each rule's last good evaluation gave, if it is still configured. */
      const expected = new Map<string, readonly string[]>();
      let names: readonly string[] = ['x', 'y'];
      bench.manager.update(groupOf(names));
      bench.start();
      for (const next of intervals) {
        now = next;
        await bench.clock.pass(INTERVAL);
        const configured = new Set(rulesOf(names).map(({ name }) => name));
        for (const name of ['x', 'y'] as const) {
          if (!configured.has(name)) expected.delete(name);
          else if (next[name] !== undefined) expected.set(name, next[name]);
        }
        const alive = [...last.values()].filter(({ stale }) => !stale).map(({ labels }) => `${labels[1]}:${labels[3]}`);
        expect(alive.sort((a, b) => (a < b ? -1 : 1))).toEqual([...expected].flatMap(([name, jobs]) => jobs.map((job) => `${name}:${job}`)).sort((a, b) => (a < b ? -1 : 1)));
        if (next.reload !== undefined) {
          names = next.reload;
          bench.manager.update(groupOf(names));
        }
      }
      bench.manager.update([]);
      await bench.clock.pass(3 * INTERVAL);
      expect([...last.values()].filter(({ stale }) => !stale)).toEqual([]);
      await bench.end();
    }),
    { numRuns: 300 },
  );
});
