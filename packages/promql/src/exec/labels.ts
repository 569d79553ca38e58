/**
 * What evaluation does to label sets. All of it works on the flat sorted arrays of `@gauntlet/model` and returns the argument itself where
 * nothing changes, so unchanged series share one array.
 */
import { compareUtf8 } from '@gauntlet/bytes';
import { getLabel, type Labels, METRIC_NAME } from '@gauntlet/model';

/** Cannot occur in a label value: a lone surrogate has no UTF-8 form. */
const SEPARATOR = '\ud800';

/** Whether functions and operators drop this label: the name, and type and unit, which say what the name measures. */
function isMetadata(name: string): boolean {
  return name === METRIC_NAME || name === '__type__' || name === '__unit__';
}

/** Without `__name__`, `__type__` and `__unit__`. */
export function dropMetadata(labels: Labels): Labels {
  for (let i = 0; i < labels.length; i += 2) {
    if (isMetadata(labels[i]!)) return filterLabels(labels, (name) => !isMetadata(name));
  }
  return labels;
}

/** Only the labels whose name passes. */
export function filterLabels(labels: Labels, keep: (name: string) => boolean): Labels {
  const out: string[] = [];
  for (let i = 0; i < labels.length; i += 2) if (keep(labels[i]!)) out.push(labels[i]!, labels[i + 1]!);
  return out.length === labels.length ? labels : out;
}

/** A string that is equal for equal label sets and for no others. */
export function labelsKey(labels: Labels): string {
  return labels.join(SEPARATOR);
}

/** Makes keys for grouping: equal where the labels of `names` (or all others, for `without`) are equal. */
export function groupingKey(names: readonly string[], without: boolean): (labels: Labels) => string {
  if (!without) {
    if (names.length === 0) return () => '';
    if (names.length === 1) {
      const name = names[0]!;
      return (labels) => getLabel(labels, name);
    }
    const sorted = [...new Set(names)].sort(compareUtf8);
    return (labels) => {
      let key = '';
      for (const name of sorted) key += getLabel(labels, name) + SEPARATOR;
      return key;
    };
  }
  const excluded = new Set(names);
  return (labels) => {
    let key = '';
    for (let i = 0; i < labels.length; i += 2) {
      if (!excluded.has(labels[i]!)) key += labels[i]! + SEPARATOR + labels[i + 1]! + SEPARATOR;
    }
    return key;
  };
}

/** The labels of `names` (`by`), or all others but the metric name (`without`). */
export function groupLabels(labels: Labels, names: readonly string[], without: boolean): Labels {
  if (without) return filterLabels(labels, (name) => name !== METRIC_NAME && !names.includes(name));
  return filterLabels(labels, (name) => names.includes(name));
}
