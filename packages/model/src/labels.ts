/**
 * Labels: the identity of a series, as one flat, sorted, immutable array.
 *
 *   ["__name__", "up", "job", "node"]   name, value, name, value, …
 *
 * Names are unique and ordered by their UTF-8 **bytes** (Prometheus orders so; JavaScript's `<` orders by UTF-16 units and
 * differs for characters past U+FFFF). A flat array costs one allocation per series and compares without hashing.
 */

/** Flat name/value pairs, sorted by name as UTF-8 bytes, names unique, no empty values. Never mutated after creation. */
export type Labels = readonly string[];
