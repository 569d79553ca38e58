/**
 * Labels: the identity of a series, as one flat, sorted, immutable array.
 *
 *   ["__name__", "up", "job", "node"]   name, value, name, value, …
 *
 * Names are unique and ordered by their UTF-8 **bytes** (Prometheus orders so; JavaScript's `<` orders by UTF-16 units and
 * differs for characters past U+FFFF). A flat array costs one allocation per series and compares without hashing.
 */
import { compareUtf8 } from '@gauntlet/bytes';
import { ModelError } from './errors.ts';
import { quoteGo } from './go-quote.ts';
import { isValidLabelName } from './label-names.ts';

/** Flat name/value pairs, sorted by name as UTF-8 bytes, names unique, no empty values. Never mutated after creation. */
export type Labels = readonly string[];

/** Label that holds the metric name. */
export const METRIC_NAME = '__name__';

/** The label set without labels. */
export const EMPTY_LABELS: Labels = Object.freeze([]);

/**
 * Labels from pairs in any order; pairs with an empty value are dropped, as an empty label is an absent one.
 * @throws ModelError ERR_LABELS_INVALID on an empty name or a name given twice
 */
export function labelsFromPairs(pairs: Iterable<readonly [name: string, value: string]>): Labels {
  const sorted = [...pairs].sort((a, b) => compareUtf8(a[0], b[0]));
  const labels: string[] = [];
  for (let i = 0; i < sorted.length; i++) {
    const [name, value] = sorted[i]!;
    if (name === '') throw new ModelError('ERR_LABELS_INVALID', `make labels: empty label name for value ${quoteGo(value)}`);
    if (i > 0 && sorted[i - 1]![0] === name) {
      throw new ModelError('ERR_LABELS_INVALID', `make labels: label ${quoteGo(name)} given twice, as ${quoteGo(sorted[i - 1]![1])} and ${quoteGo(value)}`);
    }
    if (value !== '') labels.push(name, value);
  }
  return labels;
}

/** Labels from a Map or from an object's own properties; see `labelsFromPairs`. */
export function labelsFromMap(map: ReadonlyMap<string, string> | Readonly<Record<string, string>>): Labels {
  return labelsFromPairs(map instanceof Map ? map : Object.entries(map));
}

/** The labels as an object without prototype, so that names such as `constructor` are only data. */
export function labelsToObject(labels: Labels): Record<string, string> {
  const object = Object.create(null) as Record<string, string>;
  for (let i = 0; i < labels.length; i += 2) object[labels[i]!] = labels[i + 1]!;
  return object;
}

/** The value of a label, `''` if absent. */
export function getLabel(labels: Labels, name: string): string {
  for (let i = 0; i < labels.length; i += 2) if (labels[i] === name) return labels[i + 1]!;
  return '';
}

/** Whether the label is there. */
export function hasLabel(labels: Labels, name: string): boolean {
  for (let i = 0; i < labels.length; i += 2) if (labels[i] === name) return true;
  return false;
}

/**
 * Order of series: pair by pair, name then value, each by UTF-8 bytes; a prefix comes first.
 * @returns negative, zero or positive
 * @see Prometheus model/labels, Compare
 */
export function compareLabels(a: Labels, b: Labels): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    if (a[i] !== b[i]) return compareUtf8(a[i]!, b[i]!);
  }
  return a.length - b.length;
}

/** Whether both name the same series. */
export function labelsEqual(a: Labels, b: Labels): boolean {
  if (a === b) return true;
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

/** Without the named labels; the argument itself if none of them is there. */
export function withoutLabels(labels: Labels, names: ReadonlySet<string>): Labels {
  return keepLabels(labels, (name) => !names.has(name));
}

/** With only the named labels; the argument itself if it has no other. */
export function onlyLabels(labels: Labels, names: ReadonlySet<string>): Labels {
  return keepLabels(labels, (name) => names.has(name));
}

function keepLabels(labels: Labels, keep: (name: string) => boolean): Labels {
  for (let i = 0; i < labels.length; i += 2) {
    if (keep(labels[i]!)) continue;
    const kept = labels.slice(0, i);
    for (let j = i + 2; j < labels.length; j += 2) if (keep(labels[j]!)) kept.push(labels[j]!, labels[j + 1]!);
    return kept;
  }
  return labels;
}

/**
 * `labels` with those of `extension` added; where both have a name, the extension's value wins (external labels win over stored ones).
 * @see Thanos labelpb, ExtendSortedLabels
 */
export function extendLabels(labels: Labels, extension: Labels): Labels {
  if (extension.length === 0) return labels;
  if (labels.length === 0) return extension;
  const merged: string[] = [];
  let i = 0;
  let j = 0;
  while (i < labels.length && j < extension.length) {
    const order = labels[i] === extension[j] ? 0 : compareUtf8(labels[i]!, extension[j]!);
    if (order < 0) merged.push(labels[i++]!, labels[i++]!);
    else {
      if (order === 0) i += 2;
      merged.push(extension[j++]!, extension[j++]!);
    }
  }
  while (i < labels.length) merged.push(labels[i++]!);
  while (j < extension.length) merged.push(extension[j++]!);
  return merged;
}

/** With one label set; an empty value removes it. */
export function withLabel(labels: Labels, name: string, value: string): Labels {
  if (getLabel(labels, name) === value) return labels;
  return value === '' ? keepLabels(labels, (other) => other !== name) : extendLabels(labels, [name, value]);
}

/** `{a="b", c="d"}`; values quoted as Go does, names too where they are not legacy names. */
export function formatLabels(labels: Labels): string {
  let text = '{';
  for (let i = 0; i < labels.length; i += 2) {
    if (i > 0) text += ', ';
    text += `${quoteNameIfNeeded(labels[i]!)}=${quoteGo(labels[i + 1]!)}`;
  }
  return `${text}}`;
}

/** The name, in quotes where it is not a legacy label name. */
export function quoteNameIfNeeded(name: string): string {
  return isValidLabelName(name, 'legacy') ? name : quoteGo(name);
}
