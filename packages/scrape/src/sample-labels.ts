/**
 * Labels of scraped series: those exposed, those of the target, and metric_relabel_configs over both.
 * Source: Prometheus scrape/scrape.go, mutateSampleLabels, verifyLabelLimits.
 */
import { utf8Length } from '@gauntlet/bytes';
import { getLabel, hasLabel, isValidMetricName, type Labels, labelsFromPairs, LabelsBuilder, METRIC_NAME, ModelError, quoteGo, relabelBuilder } from '@gauntlet/model';
import { ScrapeError } from './errors.ts';
import type { ScrapeConfig } from './scrape-config.ts';
import type { Target } from './target.ts';

/**
 * Final labels of a series.
 * @param exposed as the target wrote them
 * @returns undefined if relabelling drops the series
 * @throws ScrapeError ERR_SCRAPE_SERIES, ERR_SCRAPE_LABEL_LIMIT
 */
export function sampleLabels(exposed: readonly (readonly [string, string])[], target: Target): Labels | undefined {
  const { config } = target;
  const builder = new LabelsBuilder(exposedLabels(exposed));
  addTargetLabels(builder, target.labels, config.honorLabels);
  if (!relabelBuilder(builder, config.metricRelabelConfigs)) return undefined;
  const labels = builder.labels();
  if (labels.length === 0) return undefined;
  const name = getLabel(labels, METRIC_NAME);
  if (!hasLabel(labels, METRIC_NAME)) throw new ScrapeError('ERR_SCRAPE_SERIES', 'missing metric name (__name__ label)');
  if (!isValidMetricName(name)) throw new ScrapeError('ERR_SCRAPE_SERIES', `invalid metric name ${quoteGo(name)}`);
  checkLimits(labels, name, config);
  return labels;
}

/** Labels of `up` and the other reports on a target: never relabelled. */
export function reportLabels(name: string, target: Target): Labels {
  const builder = new LabelsBuilder(target.labels);
  return builder.set(METRIC_NAME, name).labels();
}

function exposedLabels(exposed: readonly (readonly [string, string])[]): Labels {
  try {
    return labelsFromPairs(exposed);
  } catch (error) {
    if (error instanceof ModelError) throw new ScrapeError('ERR_SCRAPE_SERIES', `series ${exposed[0]![1]}: ${error.message}`, { cause: error });
    throw error;
  }
}

function addTargetLabels(builder: LabelsBuilder, targetLabels: Labels, honorLabels: boolean): void {
  const conflicts: [string, string][] = [];
  for (let i = 0; i < targetLabels.length; i += 2) {
    const name = targetLabels[i]!;
    const existing = builder.get(name);
    if (existing !== '' && honorLabels) continue;
    if (existing !== '') conflicts.push([name, existing]);
    builder.set(name, targetLabels[i + 1]!);
  }
  // Short names first: `exported_a` made from `a` must not take the place of one made from `exported_a`.
  conflicts.sort((a, b) => utf8Length(a[0]) - utf8Length(b[0]));
  for (const [name, value] of conflicts) {
    let exported = `exported_${name}`;
    while (builder.get(exported) !== '') exported = `exported_${exported}`;
    builder.set(exported, value);
  }
}

function checkLimits(labels: Labels, name: string, config: ScrapeConfig): void {
  const { labelLimit, labelNameLengthLimit, labelValueLengthLimit } = config;
  const metric = name.slice(0, 50);
  const refuse = (message: string): ScrapeError => new ScrapeError('ERR_SCRAPE_LABEL_LIMIT', message);
  if (labelLimit > 0 && labels.length / 2 > labelLimit) throw refuse(`label_limit exceeded (metric: ${metric}, number of labels: ${labels.length / 2}, limit: ${labelLimit})`);
  for (let i = 0; i < labels.length && labelNameLengthLimit + labelValueLengthLimit > 0; i += 2) {
    const label = labels[i]!;
    const value = labels[i + 1]!;
    if (labelNameLengthLimit > 0 && utf8Length(label) > labelNameLengthLimit) {
      throw refuse(`label_name_length_limit exceeded (metric: ${metric}, label name: ${label.slice(0, 50)}, length: ${utf8Length(label)}, limit: ${labelNameLengthLimit})`);
    }
    if (labelValueLengthLimit > 0 && utf8Length(value) > labelValueLengthLimit) {
      throw refuse(`label_value_length_limit exceeded (metric: ${metric}, label name: ${label.slice(0, 50)}, value: ${quoteGo(value.slice(0, 50))}, length: ${utf8Length(value)}, limit: ${labelValueLengthLimit})`);
    }
  }
}
