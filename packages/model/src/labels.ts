/**
 * Labels: the identity of a series, as one flat, sorted, immutable array.
 *
 *   ["__name__", "up", "job", "node"]   name, value, name, value, …
 *
 * Names are unique and ordered by their UTF-8 **bytes** (Prometheus orders so; JavaScript's `<` orders by UTF-16 units and
 * differs for characters past U+FFFF). A flat array costs one allocation per series and compares without hashing.
 */
import { compareUtf8, utf8Encode, type Words64, xxhash64 } from '@gauntlet/bytes';
import { ModelError } from './errors.ts';

/** Flat name/value pairs, sorted by name as UTF-8 bytes, names unique, no empty values. Never mutated after creation. */
export type Labels = readonly string[];

/** The label that holds the metric name. */
export const METRIC_NAME = '__name__';

/** No labels. */
export const EMPTY_LABELS: Labels = Object.freeze([]) as Labels;

/**
 * Labels of pairs in any order; pairs with an empty value are dropped (an empty label is an absent one).
 * @throws ModelError ERR_MODEL_LABELS when a name stands twice
 */
export function labelsFromPairs(pairs: Iterable<readonly [string, string]>): Labels {
  const kept = [...pairs].filter(([, value]) => value !== '').sort(([a], [b]) => compareUtf8(a, b));
  const labels: string[] = [];
  for (const [name, value] of kept) {
    if (labels.length > 0 && labels[labels.length - 2] === name) throw new ModelError('ERR_MODEL_LABELS', `make labels: label name ${JSON.stringify(name)} is not unique`);
    labels.push(name, value);
  }
  return labels;
}

/** Labels of a plain object or a Map. */
export function labelsFromMap(map: Readonly<Record<string, string>> | ReadonlyMap<string, string>): Labels {
  return labelsFromPairs(map instanceof Map ? map.entries() : Object.entries(map as Record<string, string>));
}

/** A null-prototype object of the labels, for JSON. */
export function labelsToMap(labels: Labels): Record<string, string> {
  const map = Object.create(null) as Record<string, string>;
  for (let index = 0; index < labels.length; index += 2) map[labels[index]!] = labels[index + 1]!;
  return map;
}

/** Value of a label, `''` when absent. */
export function getLabel(labels: Labels, name: string): string {
  for (let index = 0; index < labels.length; index += 2) if (labels[index] === name) return labels[index + 1]!;
  return '';
}

/** Order of series: name by name, then value by value, as UTF-8 bytes; a prefix comes first. As Prometheus labels.Compare. */
export function compareLabels(a: Labels, b: Labels): number {
  const shorter = a.length < b.length ? a.length : b.length;
  for (let index = 0; index < shorter; index++) {
    if (a[index] !== b[index]) return compareUtf8(a[index]!, b[index]!);
  }
  return a.length - b.length;
}

/** Whether both name the same series. */
export function labelsEqual(a: Labels, b: Labels): boolean {
  if (a.length !== b.length) return false;
  for (let index = 0; index < a.length; index++) if (a[index] !== b[index]) return false;
  return true;
}

/** The labels whose names are not in `names`; the same array when nothing is dropped. */
export function withoutLabels(labels: Labels, names: ReadonlySet<string>): Labels {
  let kept: string[] | undefined;
  for (let index = 0; index < labels.length; index += 2) {
    if (names.has(labels[index]!)) kept ??= labels.slice(0, index);
    else if (kept !== undefined) kept.push(labels[index]!, labels[index + 1]!);
  }
  return kept ?? labels;
}

/** The labels whose names are in `names`. */
export function onlyLabels(labels: Labels, names: ReadonlySet<string>): Labels {
  const kept: string[] = [];
  for (let index = 0; index < labels.length; index += 2) if (names.has(labels[index]!)) kept.push(labels[index]!, labels[index + 1]!);
  return kept;
}

/** Merge of two label sets; where both have a name the value of `extra` wins (external labels win over the series' own, as in Thanos). */
export function extendLabels(labels: Labels, extra: Labels): Labels {
  if (extra.length === 0) return labels;
  const merged: string[] = [];
  let i = 0;
  let j = 0;
  while (i < labels.length || j < extra.length) {
    const order = i >= labels.length ? 1 : j >= extra.length ? -1 : labels[i] === extra[j] ? 0 : compareUtf8(labels[i]!, extra[j]!);
    if (order < 0) {
      merged.push(labels[i]!, labels[i + 1]!);
      i += 2;
    } else {
      merged.push(extra[j]!, extra[j + 1]!);
      j += 2;
      if (order === 0) i += 2;
    }
  }
  return merged;
}

/** A copy with one label set, or removed when `value` is `''`. */
export function withLabel(labels: Labels, name: string, value: string): Labels {
  return value === '' ? withoutLabels(labels, new Set([name])) : extendLabels(labels, [name, value]);
}

/** Whether a name needs no quotes in PromQL and the text format. */
export function isLegacyLabelName(name: string): boolean {
  return /^[a-zA-Z_][a-zA-Z0-9_]*$/.test(name);
}

/** Whether a metric name needs no quotes. */
export function isLegacyMetricName(name: string): boolean {
  return /^[a-zA-Z_:][a-zA-Z0-9_:]*$/.test(name);
}

/** A text in double quotes with Go's escapes, as Prometheus prints label values. */
export function quoteGo(text: string): string {
  let out = '"';
  for (const char of text) {
    const code = char.codePointAt(0)!;
    if (char === '"' || char === '\\') out += `\\${char}`;
    else if (char === '\n') out += '\\n';
    else if (char === '\t') out += '\\t';
    else if (char === '\r') out += '\\r';
    else if (code === 7) out += '\\a';
    else if (code === 8) out += '\\b';
    else if (code === 11) out += '\\v';
    else if (code === 12) out += '\\f';
    else if (code < 0x20 || code === 0x7f) out += `\\x${code.toString(16).padStart(2, '0')}`;
    else if (/[\p{L}\p{M}\p{N}\p{P}\p{S} ]/u.test(char)) out += char;
    else out += code > 0xffff ? `\\U${code.toString(16).padStart(8, '0')}` : `\\u${code.toString(16).padStart(4, '0')}`;
  }
  return `${out}"`;
}

/** `{a="b", c="d"}`, the way Prometheus prints a label set (the metric name is a label like any other here). */
export function formatLabels(labels: Labels): string {
  const parts: string[] = [];
  for (let index = 0; index < labels.length; index += 2) {
    const name = labels[index]!;
    parts.push(`${isLegacyLabelName(name) ? name : quoteGo(name)}=${quoteGo(labels[index + 1]!)}`);
  }
  return `{${parts.join(', ')}}`;
}

/** `name{a="b"}`, the way PromQL results print a series. */
export function formatMetric(labels: Labels): string {
  const name = getLabel(labels, METRIC_NAME);
  if (name === '') return formatLabels(labels);
  const rest = withoutLabels(labels, new Set([METRIC_NAME]));
  if (!isLegacyMetricName(name)) {
    const inner = formatLabels(rest).slice(1, -1);
    return `{${quoteGo(name)}${inner === '' ? '' : `, ${inner}`}}`;
  }
  return rest.length === 0 ? name : `${name}${formatLabels(rest)}`;
}

const SEPARATOR = '\xff';

/** xxHash64 of `name 0xff value 0xff …`: the stable hash of a label set, as Prometheus labels.StableHash and Thanos' sharding have it. */
export function hashLabels(labels: Labels): Words64 {
  // 0xff is no byte of any UTF-8 text; it is put in after encoding.
  const parts = labels.map((text) => utf8Encode(text));
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length + SEPARATOR.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
    bytes[at++] = 0xff;
  }
  return xxhash64(bytes);
}
