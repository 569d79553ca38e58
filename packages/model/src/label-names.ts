/**
 * Which names are allowed, by two schemes:
 *
 *   legacy   labels [a-zA-Z_][a-zA-Z0-9_]*, metrics [a-zA-Z_:][a-zA-Z0-9_:]*
 *   utf8     any well-formed, non-empty text; the default since Prometheus 3.0
 *
 * Source: prometheus/common model/metric.go.
 */

/** How names are checked. */
export type NameScheme = 'utf8' | 'legacy';

const LEGACY_LABEL = /^[a-zA-Z_][a-zA-Z0-9_]*$/;
const LEGACY_METRIC = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/;
const LONE_SURROGATE = /\p{Surrogate}/u;

/** Whether the text has a UTF-8 form, that is, no lone surrogate. */
export function isWellFormed(text: string): boolean {
  return !LONE_SURROGATE.test(text);
}

/** Whether `name` may name a label. */
export function isValidLabelName(name: string, scheme: NameScheme = 'utf8'): boolean {
  return scheme === 'legacy' ? LEGACY_LABEL.test(name) : name !== '' && isWellFormed(name);
}

/** Whether `name` may be the value of `__name__`. */
export function isValidMetricName(name: string, scheme: NameScheme = 'utf8'): boolean {
  return scheme === 'legacy' ? LEGACY_METRIC.test(name) : name !== '' && isWellFormed(name);
}
