/** States of alerts: tables, and random sequences against a model that looks back over the whole history. */
import { describe, expect, test } from '@jest/globals';
import { EMPTY_LABELS, labelsFromMap } from '@gauntlet/model';
import fc from 'fast-check';
import { AlertingRule, RESOLVED_RETENTION_MS } from './alerting-rule.ts';
import { element } from './testing/rule-bench.ts';
import type { AlertingRuleConfig } from './types.ts';

const rule = (config: Partial<AlertingRuleConfig> = {}, warnings: string[] = []): AlertingRule =>
  new AlertingRule(
    { kind: 'alerting', name: 'A', expr: 'up == 0', labels: [], annotations: [], forMs: 0, keepFiringForMs: 0, ...config },
    { externalLabels: labelsFromMap({ region: 'eu' }), externalUrl: 'http://r', warn: (message) => void warnings.push(message) },
    true,
  );

const S = 1000;

/** One line per evaluation: states, then what is written of ALERTS, then what is sent as start–end. */
function play(alerting: AlertingRule, presence: string, stepMs = 10 * S, resendDelayMs = 60 * S): string[] {
  return presence.split('').map((char, i) => {
    const atMs = i * stepMs;
    const samples = alerting.evaluate(char === 'x' ? [element({ __name__: 'up', job: 'a' }, 0)] : [], atMs, atMs, 0);
    const sent = alerting.takeOutgoing(atMs, { resendDelayMs, intervalMs: stepMs });
    const written = samples.filter(({ labels }) => labels.includes('ALERTS')).map(({ labels }) => labels[labels.indexOf('alertstate') + 1]);
    return `${alerting.state()} [${written.join()}] ${sent.map(({ startsAtMs, endsAtMs }) => `${startsAtMs / S}-${endsAtMs / S}`).join()}`.trim();
  });
}

describe('one alert, evaluated every 10 s', () => {
  test('without for: fires at once, is sent again after the resend delay, resolved when the element is gone', () => {
    expect(play(rule(), 'xxxxxxxxx..')).toEqual([
      'firing [firing] 0-240',
      ...Array.from({ length: 6 }, () => 'firing [firing]'),
      'firing [firing] 0-310',
      'firing [firing]',
      'inactive [] 0-90',
      'inactive []',
    ]);
  });

  test('for: pending first, not sent; gone again before, nothing was', () => {
    expect(play(rule({ forMs: 20 * S }), 'xx.xxx.')).toEqual(['pending [pending]', 'pending [pending]', 'inactive []', 'pending [pending]', 'pending [pending]', 'firing [firing] 50-290', 'inactive [] 50-60']);
  });

  test('keep_firing_for: counted from the first miss, begun anew by each element', () => {
    expect(play(rule({ keepFiringForMs: 20 * S }), 'x..x...', 10 * S, 1000 * S)).toEqual([
      'firing [firing] 0-4000',
      'firing [firing]',
      'firing [firing]',
      'firing [firing]',
      'firing [firing]',
      'firing [firing]',
      'inactive [] 0-60',
    ]);
  });

  test('keep_firing_for does not keep what only was pending', () => {
    expect(play(rule({ forMs: 20 * S, keepFiringForMs: 60 * S }), 'xx..')).toEqual(['pending [pending]', 'pending [pending]', 'inactive []', 'inactive []']);
  });

  test('a resolved alert is sent again for 15 minutes, and a new one has its own time', () => {
    const alerting = rule();
    const lines = play(alerting, `x${'.'.repeat(20)}`, 60 * S, 59 * S);
    expect(lines[1]).toBe('inactive [] 0-60');
    expect(lines.slice(1, 17)).toEqual(Array.from({ length: 16 }, () => 'inactive [] 0-60'));
    expect(lines.slice(17)).toEqual(Array.from({ length: 4 }, () => 'inactive []'));
    expect(play(rule(), 'x.x')[2]).toBe('firing [firing] 20-260');
    expect(RESOLVED_RETENTION_MS).toBe(15 * 60 * S);
  });
});

test('labels: the element without its name, those of the rule, alertname; empty ones are removed', () => {
  const alerting = rule({ labels: [['alertname', 'x'], ['job', ''], ['severity', 'page'], ['v', '{{ $value }}/{{ $labels.job }}']], annotations: [['a', '{{ $labels.__name__ }} {{ $externalLabels.region }}'], ['empty', '']] });
  const samples = alerting.evaluate([element({ __name__: 'up', job: 'api' }, 0.5)], 1_234_567, 1_230_000, 0);
  const labels = labelsFromMap({ alertname: 'A', severity: 'page', v: '0.5/api' });
  expect(alerting.activeAlerts('warn')).toEqual([{ labels, annotations: labelsFromMap({ a: 'up eu' }), state: 'firing', activeAtMs: 1_234_567, value: '5e-01', strategy: 'warn' }]);
  expect(samples).toEqual([
    { labels: labelsFromMap({ __name__: 'ALERTS', alertname: 'A', alertstate: 'firing', severity: 'page', v: '0.5/api' }), timestampMs: 1_230_000, value: 1, stale: false },
    { labels: labelsFromMap({ __name__: 'ALERTS_FOR_STATE', alertname: 'A', severity: 'page', v: '0.5/api' }), timestampMs: 1_230_000, value: 1234, stale: false },
  ]);
  expect(alerting.takeOutgoing(1_234_567, { resendDelayMs: 1, intervalMs: 2000 })).toEqual([
    { labels, annotations: labelsFromMap({ a: 'up eu' }), startsAtMs: 1_234_567, endsAtMs: 1_234_567 + 8000, expr: 'up == 0' },
  ]);
});

test('value and annotations follow the element, labels with a changing value are other alerts', () => {
  const alerting = rule({ annotations: [['a', '{{ $value }}']] });
  alerting.evaluate([element({}, 1)], 0, 0, 0);
  alerting.evaluate([element({}, NaN)], S, S, 0);
  expect(alerting.activeAlerts('abort')).toMatchObject([{ value: 'NaN', annotations: ['a', 'NaN'], activeAtMs: 0 }]);
});

test('a template that cannot be filled in becomes a text that says so', () => {
  const warnings: string[] = [];
  const alerting = rule({ labels: [['l', '{{ humanize "x" }}']] }, warnings);
  alerting.evaluate([element({}, 1)], 0, 0, 0);
  expect(alerting.activeAlerts('abort')[0]!.labels).toContain('<error expanding template: evaluate {{ humanize "x" }}: call humanize: wanted a number, got "x">');
  expect(warnings).toEqual(['evaluate {{ humanize "x" }}: call humanize: wanted a number, got "x"']);
});

test('a rule whose template has problems cannot be made', () => {
  expect(() => rule({ annotations: [['a', '{{ now }}']] })).toThrow(expect.objectContaining({ code: 'ERR_TEMPLATE', message: "read template of a: template function 'now' is not supported yet" }));
});

test('two elements that become one alert: an error, and the alerts stay as they were', () => {
  const alerting = rule({ labels: [['job', '']] });
  alerting.evaluate([element({ job: 'a' }, 1)], 0, 0, 0);
  expect(() => alerting.evaluate([element({ job: 'a' }, 2), element({ job: 'b' }, 3)], S, S, 0)).toThrow(
    expect.objectContaining({ code: 'ERR_RULE', message: 'vector contains metrics with the same labelset after applying alert labels' }),
  );
  expect(alerting.activeAlerts('abort')).toMatchObject([{ value: '1e+00' }]);
});

test('more active alerts than the limit: an error, and all alerts are forgotten', () => {
  const alerting = rule({ forMs: 10 * S });
  alerting.evaluate([element({ job: 'a' }, 1)], 0, 0, 1);
  expect(() => alerting.evaluate([element({ job: 'a' }, 1), element({ job: 'b' }, 1)], S, S, 1)).toThrow(expect.objectContaining({ message: 'exceeded limit of 1 with 2 alerts' }));
  expect(alerting.activeAlerts('abort')).toEqual([]);
  alerting.evaluate([element({ job: 'a' }, 1)], 2 * S, 2 * S, 1);
  expect(alerting.activeAlerts('abort')).toMatchObject([{ state: 'pending', activeAtMs: 2 * S }]);
});

test('for made longer: a firing alert is pending again', () => {
  const old = rule();
  old.evaluate([element({}, 1)], 0, 0, 0);
  old.takeOutgoing(0, { resendDelayMs: S, intervalMs: S });
  const changed = rule({ forMs: 30 * S });
  changed.takeAlerts(old);
  changed.evaluate([element({}, 1)], 10 * S, 10 * S, 0);
  expect([changed.state(), changed.takeOutgoing(10 * S, { resendDelayMs: S, intervalMs: S })]).toEqual(['pending', []]);
  changed.evaluate([element({}, 1)], 30 * S, 30 * S, 0);
  expect(changed.takeOutgoing(30 * S, { resendDelayMs: S, intervalMs: S })).toMatchObject([{ startsAtMs: 30 * S }]);
});

test('series are withheld until states are restored', () => {
  const alerting = new AlertingRule({ kind: 'alerting', name: 'A', expr: 'up', labels: [], annotations: [], forMs: 0, keepFiringForMs: 0 }, { externalLabels: EMPTY_LABELS, externalUrl: '', warn: () => undefined }, false);
  expect(alerting.evaluate([element({}, 1)], 0, 0, 0)).toEqual([]);
  alerting.markRestored();
  expect(alerting.evaluate([element({}, 1)], 1, 1, 0)).toHaveLength(2);
});

/**
 * The model: whether an alert is active and since when is defined by the steps before, not kept.
 *   active(i)   the element is there, or the alert fired before and the misses up to i span less than keep_firing_for
 *   since(i)    first step of the unbroken run of active steps that i is in
 *   fired(i)    first step of that run at which `for` had passed, if there is one up to i
 */
function model(present: readonly boolean[], stepMs: number, forMs: number, keepMs: number): { state: string; activeAtMs: number | undefined }[] {
  const firedFrom = (start: number, end: number): number | undefined => {
    for (let i = start; i <= end; i++) if ((i - start) * stepMs >= forMs) return i;
    return undefined;
  };
  const runs: number[] = [];
  return present.map((isThere, i) => {
    const before = i > 0 ? runs[i - 1]! : -1;
    let active = isThere;
    if (!isThere && before >= 0 && firedFrom(before, i - 1) !== undefined) {
      let firstMiss = i;
      while (!present[firstMiss - 1]!) firstMiss--;
      active = (i - firstMiss) * stepMs < keepMs;
    }
    runs.push(!active ? -1 : before >= 0 ? before : i);
    if (!active) return { state: 'inactive', activeAtMs: undefined };
    return { state: firedFrom(runs[i]!, i) === undefined ? 'pending' : 'firing', activeAtMs: runs[i]! * stepMs };
  });
}

test('random sequences against the model', () => {
  const durations = fc.integer({ min: 0, max: 8 }).map((n) => n * 5 * S);
  fc.assert(
    fc.property(fc.array(fc.boolean(), { maxLength: 40 }), durations, durations, (present, forMs, keepMs) => {
      const stepMs = 10 * S;
      const alerting = rule({ forMs, keepFiringForMs: keepMs });
      const wanted = model(present, stepMs, forMs, keepMs);
      let isFiring = false;
      present.forEach((isThere, i) => {
        alerting.evaluate(isThere ? [element({ job: 'a' }, 1)] : [], i * stepMs, i * stepMs, 0);
        const sent = alerting.takeOutgoing(i * stepMs, { resendDelayMs: 1e9, intervalMs: stepMs });
        expect({ state: alerting.state(), activeAtMs: alerting.activeAlerts('abort')[0]?.activeAtMs }).toEqual(wanted[i]);
        // With an endless resend delay, exactly the changes are sent.
        const changes = (wanted[i]!.state === 'firing') !== isFiring;
        expect(sent.map(({ endsAtMs }) => endsAtMs === i * stepMs)).toEqual(changes ? [isFiring] : []);
        if (changes) isFiring = !isFiring;
      });
    }),
    { numRuns: 500 },
  );
});

test('alerts of one rule do not touch each other', () => {
  const step = fc.record({ a: fc.boolean(), b: fc.boolean() });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 25 }), (steps) => {
      const both = rule({ forMs: 20 * S, keepFiringForMs: 10 * S });
      const alone = { a: rule({ forMs: 20 * S, keepFiringForMs: 10 * S }), b: rule({ forMs: 20 * S, keepFiringForMs: 10 * S }) };
      steps.forEach(({ a, b }, i) => {
        const at = i * 10 * S;
        both.evaluate([...(b ? [element({ n: 'b' }, 1)] : []), ...(a ? [element({ n: 'a' }, 1)] : [])], at, at, 0);
        alone.a.evaluate(a ? [element({ n: 'a' }, 1)] : [], at, at, 0);
        alone.b.evaluate(b ? [element({ n: 'b' }, 1)] : [], at, at, 0);
        const texts = (alerts: readonly unknown[]): string[] => alerts.map((alert) => JSON.stringify(alert)).sort((x, y) => (x < y ? -1 : 1));
        expect(texts(both.activeAlerts('abort'))).toEqual(texts([...alone.a.activeAlerts('abort'), ...alone.b.activeAlerts('abort')]));
      });
    }),
  );
});
