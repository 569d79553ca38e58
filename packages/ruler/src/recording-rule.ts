/**
 * Recording rules: the result of an expression as series of another name.
 *
 *   {job="a"} 3  ── name := record, labels of the rule set (empty ones removed) ──►  job:up:sum{job="a",tier="x"} 3
 *
 * Source: Prometheus docs/configuration/recording_rules.md, rules/recording.go.
 */
import { LabelsBuilder, METRIC_NAME } from '@gauntlet/model';
import { RulerError } from './errors.ts';
import type { RecordingRuleConfig, RuleSample, VectorSample } from './types.ts';

/** A label set as a key of maps. */
export function labelsKey(labels: readonly string[]): string {
  return JSON.stringify(labels);
}

/**
 * The samples a recording rule writes.
 * @param timestampMs of the samples, query offset taken off
 * @param limit most series; 0 and less have none
 * @throws RulerError ERR_RULE when two elements become the same series, or there are too many
 */
export function recordSamples(rule: RecordingRuleConfig, result: readonly VectorSample[], timestampMs: number, limit: number): RuleSample[] {
  const seen = new Set<string>();
  const samples = result.map(({ labels, value }): RuleSample => {
    const builder = new LabelsBuilder(labels).set(METRIC_NAME, rule.name);
    for (const [name, text] of rule.labels) builder.set(name, text);
    const recorded = builder.labels();
    seen.add(labelsKey(recorded));
    return { labels: recorded, timestampMs, value, stale: false };
  });
  if (seen.size < samples.length) throw new RulerError('ERR_RULE', 'vector contains metrics with the same labelset after applying rule labels');
  if (limit > 0 && samples.length > limit) throw new RulerError('ERR_RULE', `exceeded limit of ${limit} with ${samples.length} series`);
  return samples;
}
