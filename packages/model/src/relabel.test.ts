import { readFileSync } from 'node:fs';
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { labelsFromMap, labelsToObject } from './labels.ts';
import { md5 } from './md5.ts';
import { createRelabelRule, relabel, type RelabelConfig } from './relabel.ts';

interface Case {
  readonly rules: readonly Record<string, unknown>[];
  readonly in: Record<string, string>;
  readonly out: Record<string, string> | null;
  readonly error?: string;
  readonly legacy?: boolean;
}
const golden = JSON.parse(readFileSync(join(import.meta.dirname, '../testdata/relabel.json'), 'utf8')) as readonly Case[];

function readRule(rule: Record<string, unknown>): RelabelConfig {
  return {
    sourceLabels: rule['source_labels'] as string[] | undefined,
    separator: rule['separator'] as string | undefined,
    // An explicit null is the empty pattern.
    regex: rule['regex'] === null ? '' : (rule['regex'] as string | undefined),
    modulus: rule['modulus'] as number | undefined,
    targetLabel: rule['target_label'] as string | undefined,
    replacement: rule['replacement'] as string | undefined,
    action: rule['action'] as string | undefined,
  };
}

describe('relabelling as Prometheus', () => {
  test.each(golden.map((c) => [`${JSON.stringify(c.rules)} of ${JSON.stringify(c.in)}`, c] as const))('%s', (_, { rules, in: input, out, error, legacy }) => {
    const run = (): unknown => {
      const result = relabel(
        labelsFromMap(input),
        rules.map((rule) => createRelabelRule(readRule(rule), legacy === true ? 'legacy' : 'utf8')),
      );
      return result === undefined ? null : { ...labelsToObject(result) };
    };
    if (error === undefined) expect(run()).toEqual(out);
    else expect(run).toThrow(error);
  });

  test('labels that no rule changes stay the same array', () => {
    const labels = labelsFromMap({ a: '1' });
    expect(relabel(labels, [])).toBe(labels);
    expect(relabel(labels, [createRelabelRule({ action: 'drop', sourceLabels: ['b'], regex: 'x' })])).toBe(labels);
  });

  test('a modulus past the safe integers is refused', () => {
    expect(() => createRelabelRule({ action: 'hashmod', targetLabel: 'a', modulus: 2 ** 60 })).toThrow('is not a whole number in [1, 2^53)');
  });
});

test('MD5', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      expect(Buffer.from(md5(bytes)).toString('hex')).toBe(createHash('md5').update(bytes).digest('hex'));
    }),
  );
});
