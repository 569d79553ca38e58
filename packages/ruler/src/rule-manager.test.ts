/** Groups at work: order, writing, stale markers, failures, reload, end. The clock is moved by hand. */
import { describe, expect, test } from '@jest/globals';
import { formatLabels, getLabel, labelsToObject, type RuleState } from '@gauntlet/model';
import { createLogger, renderMetrics } from '@gauntlet/service-kit';
import { parseRuleFile } from './rule-files.ts';
import { slotBefore, slotOffsetMs } from './rule-schedule.ts';
import { createRuleBench, element, type RuleBench } from './testing/rule-bench.ts';
import type { RuleGroupConfig, RuleSample, VectorSample } from './types.ts';

const START = 1_700_000_000_000;
const INTERVAL = 10_000;
/** First slot of group g of r.yml after START, from START. */
const FIRST = slotBefore(START, INTERVAL, slotOffsetMs('r.yml', 'g', INTERVAL)) + INTERVAL - START;

function groupsOf(text: string, file = 'r.yml'): readonly RuleGroupConfig[] {
  const { groups, problems } = parseRuleFile(text, file);
  expect(problems).toEqual([]);
  return groups;
}

const groupOf = (rules: string, more = '', name = 'g'): readonly RuleGroupConfig[] => groupsOf(`groups:\n- name: ${name}\n  interval: 10s\n  rules:\n${rules}\n${more}`);

/** Samples as `metric{labels} value @slot`, slots counted from 1; s for stale markers. */
function shown(samples: readonly RuleSample[]): string[] {
  return samples.map(({ labels, timestampMs, value, stale }) => `${formatLabels(labels)} ${stale ? 's' : value} @${(timestampMs - START - FIRST) / INTERVAL + 1}`);
}

/** To just after a slot. */
const toSlot = (bench: RuleBench, slot: number): Promise<void> => bench.clock.moveTo(START + FIRST + (slot - 1) * INTERVAL);

const ruleState = (bench: RuleBench, name: string): RuleState => bench.manager.groups().flatMap(({ rules }) => rules).find((rule) => rule.name === name)!;

async function metricsOf(bench: RuleBench): Promise<string> {
  return String((await renderMetrics(bench.metrics.registry, undefined)).body);
}

describe('evaluation', () => {
  test('rules in order, each after the one before has written; the query sees slot minus offset', async () => {
    const log: string[] = [];
    const bench = createRuleBench(
      START,
      async (expr, timeMs) => {
        log.push(`query ${expr} ${(timeMs - START - FIRST) / INTERVAL}`);
        await Promise.resolve();
        return [element({ __name__: 'x', job: 'a' }, 1)];
      },
      {},
      {
        appender: {
          async append(samples) {
            log.push(`append ${samples.map(({ labels }) => getLabel(labels, '__name__')).join()}`);
            await Promise.resolve();
            return { refused: [] };
          },
        },
      },
    );
    bench.manager.update(groupOf('  - {record: a, expr: x}\n  - {record: b, expr: a}', '  query_offset: 20s'));
    bench.start();
    await bench.clock.moveTo(START + FIRST - 1);
    expect(log).toEqual([]);
    await toSlot(bench, 1);
    expect(log).toEqual(['query x -2', 'append a', 'query a -2', 'append b']);
    expect(ruleState(bench, 'a')).toMatchObject({ health: 'ok', lastError: '', lastEvaluationMs: START + FIRST });
    await bench.end();
  });

  test('recording: name, labels of the rule over those of the element, empty ones removed; stale markers for series that are gone', async () => {
    const answers: VectorSample[][] = [[element({ __name__: 'x', job: 'a', pod: 'p' }, 1), element({ job: 'b' }, 2)], [element({ job: 'b' }, 3)], [], [element({ job: 'a' }, NaN)]];
    const bench = createRuleBench(START, () => answers.shift() ?? []);
    bench.manager.update(groupOf('  - {record: r, expr: x, labels: {pod: "", tier: t}}'));
    bench.start();
    await toSlot(bench, 5);
    expect(shown(bench.written)).toEqual([
      '{__name__="r", job="a", tier="t"} 1 @1',
      '{__name__="r", job="b", tier="t"} 2 @1',
      '{__name__="r", job="b", tier="t"} 3 @2',
      '{__name__="r", job="a", tier="t"} s @2',
      '{__name__="r", job="b", tier="t"} s @3',
      '{__name__="r", job="a", tier="t"} NaN @4',
      '{__name__="r", job="a", tier="t"} s @5',
    ]);
    expect(bench.written.every(({ stale, value }) => !stale || Number.isNaN(value))).toBe(true);
    await bench.end();
  });

  test.each([
    ['two elements become one series', '  - {record: r, expr: x, labels: {job: same}}', '', 'vector contains metrics with the same labelset after applying rule labels'],
    ['more series than the limit', '  - {record: r, expr: x}', '  limit: 1', 'exceeded limit of 1 with 2 series'],
    ['more alerts than the limit', '  - {alert: r, expr: x}', '  limit: 1', 'exceeded limit of 1 with 2 alerts'],
  ])('%s', async (_name, rules, more, message) => {
    const bench = createRuleBench(START, () => [element({ job: 'a' }, 1), element({ job: 'b' }, 1)]);
    bench.manager.update(groupOf(rules, more));
    bench.start();
    await toSlot(bench, 3);
    expect(ruleState(bench, 'r')).toMatchObject({ health: 'err', lastError: message });
    expect(bench.written).toEqual([]);
    await bench.end();
  });

  test('a failing query: its reason is shown, nothing is written, the rules after it go on, and nothing becomes stale', async () => {
    let fails = false;
    const bench = createRuleBench(START, (expr) => {
      if (fails && expr === 'x') throw new Error('ask http://q1: 503', { cause: new Error('store 10.0.0.1 is gone') });
      return [element({}, 1)];
    });
    bench.manager.update(groupOf('  - {record: a, expr: x}\n  - {alert: B, expr: x}\n  - {record: c, expr: y}'));
    bench.start();
    await toSlot(bench, 3);
    bench.written.length = 0;
    fails = true;
    await toSlot(bench, 4);
    expect(shown(bench.written)).toEqual(['{__name__="c"} 1 @4']);
    expect(ruleState(bench, 'a')).toMatchObject({ health: 'err', lastError: 'ask http://q1: 503: store 10.0.0.1 is gone' });
    expect(ruleState(bench, 'B')).toMatchObject({ health: 'err', state: 'firing', alerts: [expect.objectContaining({ state: 'firing' })] });
    expect(ruleState(bench, 'c')).toMatchObject({ health: 'ok' });
    fails = false;
    await toSlot(bench, 5);
    expect(ruleState(bench, 'a')).toMatchObject({ health: 'ok', lastError: '' });
    await bench.end();
  });

  test('refused samples: the rule says so, and what was written before still gets its marker', async () => {
    const written: RuleSample[] = [];
    let refuses = false;
    let isThere = true;
    const bench = createRuleBench(START, () => (isThere ? [element({ job: 'a' }, 1), element({ job: 'b' }, 1)] : []), {}, {
      appender: {
        append(samples) {
          const refused = refuses ? samples.filter(({ labels }) => labels.includes('a')).map((sample) => ({ sample, reason: 'out of order sample' })) : [];
          written.push(...samples.filter((sample) => !refused.some((each) => each.sample === sample)));
          return { refused };
        },
      },
    });
    bench.manager.update(groupOf('  - {record: r, expr: x}'));
    bench.start();
    await toSlot(bench, 1);
    refuses = true;
    await toSlot(bench, 2);
    expect(ruleState(bench, 'r')).toMatchObject({ health: 'err', lastError: 'append result: 1 of 2 samples refused: out of order sample' });
    refuses = false;
    isThere = false;
    await toSlot(bench, 3);
    expect(shown(written).slice(3)).toEqual(['{__name__="r", job="a"} s @3', '{__name__="r", job="b"} s @3']);
    await bench.end();
  });

  test('a database that is gone: the rule says so, alerts are sent all the same', async () => {
    const bench = createRuleBench(START, () => [element({}, 1)], {}, { appender: { append: () => Promise.reject(new Error('write segment 7: ENOSPC')) } });
    bench.manager.update(groupOf('  - {alert: A, expr: x}'));
    bench.start();
    await toSlot(bench, 3);
    expect(ruleState(bench, 'A')).toMatchObject({ health: 'err', lastError: 'write segment 7: ENOSPC', state: 'firing' });
    expect(bench.sent).toHaveLength(1);
    await bench.end();
  });

  test('slow evaluations: slots that went by are counted, the next is evaluated at once', async () => {
    const times: number[] = [];
    const bench = createRuleBench(START, (_expr, timeMs) => {
      times.push((timeMs - START - FIRST) / INTERVAL + 1);
      if (times.length === 2) bench.clock.set(bench.clock.now() + 25_000);
      return [];
    });
    bench.manager.update(groupOf('  - {record: r, expr: x}'));
    bench.start();
    await toSlot(bench, 6);
    expect(times).toEqual([1, 2, 4, 5, 6]);
    const page = await metricsOf(bench);
    expect(page).toContain('prometheus_rule_group_iterations_missed_total{rule_group="r.yml;g",strategy="abort"} 1\n');
    expect(page).toContain('prometheus_rule_group_iterations_total{rule_group="r.yml;g",strategy="abort"} 6\n');
    expect(page).toContain('prometheus_rule_evaluations_total{rule_group="r.yml;g",strategy="abort"} 5\n');
    expect(page).toContain('thanos_rule_loaded_rules{file="r.yml",group="g",strategy="ABORT"} 1\n');
    await bench.end();
  });

  test('warnings count where they tell of missing data', async () => {
    const lines: string[] = [];
    const log = createLogger({ sink: { write: (line) => void lines.push(line), flush: () => undefined }, caller: false });
    const warnings = [['PromQL info: metric might not be a counter'], ['PromQL warning: x', 'store 10.0.0.1 is gone']];
    const bench = createRuleBench(START, () => [], {}, { query: async () => ({ samples: [], warnings: warnings.shift() ?? [] }), log });
    bench.manager.update(groupOf('  - {record: r, expr: x}', '  partial_response_strategy: warn'));
    bench.start();
    await toSlot(bench, 3);
    expect(await metricsOf(bench)).toContain('thanos_rule_evaluation_with_warnings_total{strategy="warn"} 1\n');
    expect(lines.filter((line) => line.includes('with warnings'))).toEqual([expect.stringContaining('store 10.0.0.1 is gone')]);
    await bench.end();
  });

  test('groups do not wait for each other', async () => {
    const asked: string[] = [];
    const bench = createRuleBench(START, (expr) => {
      asked.push(expr);
      return expr === 'slow' ? new Promise(() => undefined) : [];
    });
    bench.manager.update(groupsOf('groups:\n- {name: g, rules: [{record: a, expr: slow}, {record: b, expr: never}]}\n- {name: h, rules: [{record: c, expr: fast}]}'));
    bench.start();
    await bench.clock.moveTo(START + 5 * INTERVAL);
    expect(asked.filter((expr) => expr === 'fast').length).toBeGreaterThanOrEqual(4);
    expect(asked).not.toContain('never');
    expect(ruleState(bench, 'c')).toMatchObject({ health: 'ok' });
    expect(ruleState(bench, 'a')).toMatchObject({ health: 'unknown', lastEvaluationMs: undefined });
  });

  test('several rules at a time: as many as allowed, in batches by what reads what', async () => {
    let running = 0;
    let most = 0;
    const order: string[] = [];
    const bench = createRuleBench(
      START,
      async (expr) => {
        order.push(expr);
        most = Math.max(most, ++running);
        await new Promise((resolve) => setImmediate(resolve));
        running--;
        return [element({}, 1)];
      },
      { concurrency: 3 },
    );
    bench.manager.update(groupOf('  - {record: a, expr: x1}\n  - {record: b, expr: a}\n  - {record: c, expr: x2}\n  - {record: d, expr: x3}\n  - {record: e, expr: x4}\n  - {record: f, expr: x5}'));
    bench.start();
    for (let i = 0; i < 10; i++) await toSlot(bench, 1);
    // Three beside each other, and one for which no place was free.
    expect(most).toBe(4);
    expect(order).toEqual(['x1', 'x2', 'x3', 'x4', 'x5', 'a']);
    await bench.end();
  });
});

describe('alerts', () => {
  test('from pending to resolved: states, series, and what is sent until when', async () => {
    let isOn = true;
    const bench = createRuleBench(START, () => (isOn ? [element({ __name__: 'x', job: 'a' }, 2)] : []), { resendDelayMs: 25_000, forGracePeriodMs: 0 });
    bench.manager.update(groupOf('  - {alert: A, expr: x > 1, for: 20s, labels: {severity: page}, annotations: {s: "{{ $labels.job }} {{ $value }}"}}'));
    expect(ruleState(bench, 'A')).toMatchObject({ state: 'unknown', health: 'unknown' });
    bench.start();
    await toSlot(bench, 2);
    expect(ruleState(bench, 'A')).toEqual({
      kind: 'alerting',
      name: 'A',
      query: 'x > 1',
      labels: ['severity', 'page'],
      annotations: ['s', '{{ $labels.job }} {{ $value }}'],
      health: 'ok',
      lastError: '',
      evaluationSeconds: 0,
      lastEvaluationMs: START + FIRST + INTERVAL,
      state: 'pending',
      forSeconds: 20,
      keepFiringForSeconds: 0,
      alerts: [{ labels: ['alertname', 'A', 'job', 'a', 'severity', 'page'], annotations: ['s', 'a 2'], state: 'pending', activeAtMs: START + FIRST, value: '2e+00', strategy: 'abort' }],
    });
    await toSlot(bench, 6);
    isOn = false;
    await toSlot(bench, 7);
    expect(shown(bench.written).filter((line) => line.includes('"ALERTS"')).map((line) => line.replace(/.*alertstate="(\w+)".*\}/, '$1'))).toEqual(['firing 1 @3', 'firing 1 @4', 'firing 1 @5', 'firing 1 @6', 'firing s @7']);
    const slotOf = (ms: number): number => (ms - START - FIRST) / INTERVAL + 1;
    expect(bench.sent.map(({ atMs, startsAtMs, endsAtMs, expr }) => [slotOf(atMs), slotOf(startsAtMs), slotOf(endsAtMs), expr])).toEqual([
      [3, 3, 13, 'x > 1'],
      [6, 3, 16, 'x > 1'],
      [7, 3, 7, 'x > 1'],
    ]);
    await bench.end();
  });
});

describe('reload', () => {
  const RULES = '  - {alert: A, expr: x, for: 1h}\n  - {record: r, expr: x}';
  const begin = async (text = RULES): Promise<RuleBench> => {
    const bench = createRuleBench(START, (expr) => [element({ of: expr }, 1)], { forGracePeriodMs: 0 });
    bench.manager.update(groupOf(text));
    bench.start();
    await toSlot(bench, 3);
    bench.written.length = 0;
    return bench;
  };

  test('an unchanged group goes on as if nothing was', async () => {
    const bench = await begin();
    bench.manager.update(groupOf(RULES));
    expect(ruleState(bench, 'A')).toMatchObject({ state: 'pending', health: 'ok' });
    await toSlot(bench, 4);
    expect(shown(bench.written)).toHaveLength(3);
    await bench.end();
  });

  test('a changed group keeps alerts and series of rules with the same name and labels; the others are marked at the next slot', async () => {
    const bench = await begin(`${RULES}\n  - {record: gone, expr: x}\n  - {alert: G, expr: x}`);
    bench.manager.update(groupOf('  - {record: r, expr: y}\n  - {alert: A, expr: x, for: 2h}\n  - {alert: N, expr: x}'));
    // Taken over at once, so nothing is unknown in between.
    await bench.clock.pass(1);
    expect(ruleState(bench, 'A')).toMatchObject({ state: 'unknown', forSeconds: 7200, alerts: [expect.objectContaining({ activeAtMs: START + FIRST })] });
    await toSlot(bench, 4);
    expect(ruleState(bench, 'A')).toMatchObject({ state: 'pending', alerts: [expect.objectContaining({ activeAtMs: START + FIRST })] });
    expect(shown(bench.written).filter((line) => !line.includes('ALERTS'))).toEqual(['{__name__="r", of="y"} 1 @4', '{__name__="r", of="x"} s @4', '{__name__="gone", of="x"} s @4']);
    expect(shown(bench.written).filter((line) => line.includes(' s '))).toEqual([
      '{__name__="r", of="x"} s @4',
      '{__name__="ALERTS", alertname="G", alertstate="firing", of="x"} s @4',
      '{__name__="ALERTS_FOR_STATE", alertname="G", of="x"} s @4',
      '{__name__="gone", of="x"} s @4',
    ].sort((a, b) => shown(bench.written).indexOf(a) - shown(bench.written).indexOf(b)));
    // A rule that was added writes its series from its first evaluation on: there is nothing to restore.
    expect(shown(bench.written)).toContain('{__name__="ALERTS", alertname="N", alertstate="firing", of="x"} 1 @4');
    await bench.end();
  });

  test('what is known of a rule that did not change stays known', async () => {
    const bench = await begin();
    const before = ruleState(bench, 'A');
    bench.manager.update(groupOf(`${RULES}\n  - {record: more, expr: x}`));
    await bench.clock.pass(1);
    expect(ruleState(bench, 'A')).toEqual(before);
    expect(ruleState(bench, 'more')).toMatchObject({ health: 'unknown', lastEvaluationMs: undefined });
    await bench.end();
  });

  test('a rule under way is finished first; until then the old state is shown', async () => {
    let release: (samples: readonly VectorSample[]) => void = () => undefined;
    const asked: string[] = [];
    const bench = createRuleBench(START, (expr) => {
      asked.push(expr);
      return expr === 'x' ? new Promise((resolve) => (release = resolve)) : [element({}, 1)];
    });
    bench.manager.update(groupOf('  - {record: r, expr: x}\n  - {record: s, expr: y}'));
    bench.start();
    await toSlot(bench, 1);
    bench.manager.update(groupOf('  - {record: r, expr: z}'));
    bench.manager.update(groupOf('  - {record: r, expr: w}'));
    await toSlot(bench, 3);
    expect(ruleState(bench, 'r').query).toBe('x');
    release([element({ job: 'a' }, 1)]);
    await bench.clock.pass(0);
    expect(ruleState(bench, 'r').query).toBe('w');
    await toSlot(bench, 4);
    expect(asked).toEqual(['x', 'w']);
    expect(shown(bench.written)).toEqual(['{__name__="r", job="a"} 1 @1', '{__name__="r"} 1 @4', '{__name__="r", job="a"} s @4']);
    await bench.end();
  });

  test('a removed group: two intervals later its series are marked, with the time of the removal', async () => {
    const bench = await begin();
    bench.manager.update([]);
    expect(bench.manager.groups()).toEqual([]);
    await toSlot(bench, 4);
    expect(bench.written).toEqual([]);
    await toSlot(bench, 5);
    expect(shown(bench.written).sort((a, b) => (a < b ? -1 : 1))).toEqual([
      '{__name__="ALERTS", alertname="A", alertstate="pending", of="x"} s @3',
      '{__name__="ALERTS_FOR_STATE", alertname="A", of="x"} s @3',
      '{__name__="r", of="x"} s @3',
    ]);
    expect(await metricsOf(bench)).not.toContain('rule_group="r.yml;g"');
    await bench.end();
  });

  test('a ruler that ends marks nothing, nor what it has removed just before', async () => {
    const bench = await begin();
    await bench.end();
    expect(bench.written).toEqual([]);
    const other = await begin();
    other.manager.update([]);
    await toSlot(other, 4);
    await other.end();
    expect(other.written).toEqual([]);
    expect(other.clock.pending()).toBe(0);
  });

  test('groups that come before the beginning are evaluated from then on; what was replaced by then never ran', async () => {
    const asked = new Set<string>();
    const bench = createRuleBench(START, (expr) => {
      asked.add(expr);
      return [];
    });
    bench.manager.update(groupOf('  - {record: r, expr: x}'));
    bench.manager.update(groupOf('  - {record: r, expr: y}'));
    await bench.clock.pass(INTERVAL);
    expect([...asked]).toEqual([]);
    bench.start();
    await bench.clock.pass(2 * INTERVAL);
    expect([...asked]).toEqual(['y']);
    await bench.end();
    bench.manager.update(groupOf('  - {record: r, expr: z}'));
    await bench.clock.pass(2 * INTERVAL);
    expect([...asked]).toEqual(['y']);
  });

  test('groups are ordered by file, then name, and the first of two with one name is taken', () => {
    const bench = createRuleBench(START, () => []);
    bench.manager.update([...groupsOf('groups: [{name: b}, {name: a}]', 'y'), ...groupsOf('groups: [{name: z, limit: 1}]', 'x'), ...groupsOf('groups: [{name: z, limit: 2}]', 'x')]);
    expect(bench.manager.groups().map(({ file, name, limit }) => [file, name, limit])).toEqual([['x', 'z', 1], ['y', 'a', 0], ['y', 'b', 0]]);
  });
});

test('the end: the query under way is given up, and its failure is not held against the rule', async () => {
  const bench = createRuleBench(START, (_expr, _timeMs, signal) => new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error))));
  bench.manager.update(groupOf('  - {record: r, expr: x}\n  - {record: s, expr: y}'));
  bench.start();
  await toSlot(bench, 1);
  await bench.end();
  expect([ruleState(bench, 'r'), ruleState(bench, 's')]).toMatchObject([{ health: 'unknown', lastError: '' }, { health: 'unknown' }]);
  expect(bench.clock.pending()).toBe(0);
});

test('external labels and URL reach the templates, and no series', async () => {
  const bench = createRuleBench(START, () => [element({ job: 'a' }, 1)], { forGracePeriodMs: 0 });
  bench.manager.update(groupOf('  - {alert: A, expr: x, annotations: {s: "{{ $externalLabels.region }} {{ $externalURL }}"}}'));
  bench.start();
  await toSlot(bench, 3);
  expect({ ...labelsToObject(bench.sent[0]!.annotations) }).toEqual({ s: 'eu http://ruler.example.org' });
  expect(bench.written.some(({ labels }) => labels.includes('region'))).toBe(false);
  await bench.end();
});
