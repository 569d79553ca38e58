/**
 * Schemas for config-yaml.ts, built from small parts:
 *
 *   const tlsConfig = schema.object({ ca_file: schema.withDefault(schema.string(), ''), insecure_skip_verify: schema.withDefault(schema.bool(), false) });
 *   const value = decodeYaml(text, schema.object({ type: schema.oneOf(['S3', 'FILESYSTEM']), config: schema.optional(tlsConfig) }), 'bucket.yml');
 *
 * A key is required unless wrapped in `optional` or `withDefault`; null counts as absent. Unknown keys and wrong types are reported with their position and the nearest known key.
 */
import { type ConfigReader, type Schema, type YamlNode, describeNode, joinPath } from './config-yaml.ts';
import { parseDurationText, parseSizeText } from './duration-text.ts';
import { errorText } from './errors.ts';
import { nearestName } from './nearest-name.ts';
import { Secret } from './secret.ts';

/** The type a schema yields. */
export type SchemaValue<S> = S extends Schema<infer T> ? T : never;
/** Fields of an object schema. */
export type SchemaFields = Readonly<Record<string, Schema<unknown>>>;
/** The object an object schema yields. */
export type ObjectValue<F extends SchemaFields> = { readonly [K in keyof F]: SchemaValue<F[K]> };

/** Any scalar as text: `a`, `"a"`, `12`, `true`. */
export function string(): Schema<string> {
  return scalar('string', (text) => text);
}

/** Text that must not be shown anywhere; see {@link Secret}. */
export function secret(): Schema<Secret> {
  return { ...required('string'), decode: (node, reader) => (node.kind === 'scalar' ? new Secret(reader.text(node)) : wrongKind(node, reader, 'string')) };
}

/** A whole number between the bounds (inclusive); safe integers only. */
export function int(bounds: { readonly min?: number; readonly max?: number } = {}): Schema<number> {
  return scalar('integer', (text, plain) => {
    if (!plain || !/^[+-]?(\d[\d_]*|0x[\da-fA-F]+|0o[0-7]+)$/.test(text)) return undefined;
    const bare = text.replaceAll('_', '');
    const value = /^[+-]/.test(bare) ? (bare.startsWith('-') ? -1 : 1) * Number(bare.slice(1)) : Number(bare);
    if (!Number.isSafeInteger(value)) return undefined;
    if (bounds.min !== undefined && value < bounds.min) throw new RangeError(`wanted at least ${bounds.min}, got ${value}`);
    if (bounds.max !== undefined && value > bounds.max) throw new RangeError(`wanted at most ${bounds.max}, got ${value}`);
    return value;
  });
}

/** A finite number. */
export function float(): Schema<number> {
  return scalar('number', (text, plain) => {
    if (!plain || !/^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/.test(text)) return undefined;
    return Number(text);
  });
}

/** true/false, and YAML 1.1's yes/no/on/off/y/n, as Go's yaml reads bool fields. */
export function bool(): Schema<boolean> {
  return scalar('bool', (text, plain) => {
    if (!plain) return undefined;
    if (/^(true|yes|on|y)$/i.test(text)) return true;
    return /^(false|no|off|n)$/i.test(text) ? false : undefined;
  });
}

/** A duration in Prometheus or Go notation; yields milliseconds. `0` needs no unit. */
export function duration(): Schema<number> {
  return scalar('duration', (text) => parseDurationText(text));
}

/** A size such as `64MiB`, or a number of bytes; yields bytes. */
export function bytes(): Schema<number> {
  return scalar('size', (text) => parseSizeText(text, true));
}

/** One of the given texts. With `ignoreCase` any spelling is taken and the listed one is given. */
export function oneOf<const V extends readonly string[]>(values: V, options: { readonly ignoreCase?: boolean } = {}): Schema<V[number]> {
  const listed = values.map((value) => (value === '' ? '""' : value)).join(', ');
  return scalar(`one of ${listed}`, (text) => {
    const found = values.find((value) => value === text || (options.ignoreCase === true && value.toLowerCase() === text.toLowerCase()));
    if (found !== undefined) return found as V[number];
    const near = nearestName(text, values);
    throw new RangeError(`wanted one of ${listed}, got '${text}'${near === undefined ? '' : `, did you mean '${near}'?`}`);
  });
}

/** A list of values. A null list is empty when wrapped by `withDefault(…, [])`. */
export function list<T>(item: Schema<T>): Schema<readonly T[]> {
  const wants = `list of ${item.wants}`;
  return {
    ...required(wants),
    decode(node, reader) {
      if (node.kind !== 'list') return wrongKind(node, reader, wants);
      const values: T[] = [];
      for (const entry of reader.items(node)) {
        const value = entry.kind === 'null' ? item.absent(entry, reader, entry.path) : item.decode(entry, reader);
        values.push(value as T);
      }
      return values;
    },
  };
}

/** A map with free keys, in the order written. */
export function map<T>(item: Schema<T>): Schema<ReadonlyMap<string, T>> {
  const wants = `map of ${item.wants}`;
  return {
    ...required(wants),
    decode(node, reader) {
      if (node.kind !== 'map') return wrongKind(node, reader, wants);
      const values = new Map<string, T>();
      for (const { key, value } of reader.entries(node)) {
        values.set(key, (value.kind === 'null' ? item.absent(value, reader, value.path) : item.decode(value, reader)) as T);
      }
      return values;
    },
  };
}

/** A map with exactly these keys. Unknown keys are problems. */
export function object<F extends SchemaFields>(fields: F): Schema<ObjectValue<F>> {
  const known = Object.keys(fields);
  const read = (node: YamlNode, reader: ConfigReader): ObjectValue<F> => {
    const values: Record<string, unknown> = {};
    const seen = new Set<string>();
    for (const { key, keyNode, value } of node.kind === 'map' ? reader.entries(node) : []) {
      if (!Object.hasOwn(fields, key)) {
        const near = nearestName(key, known);
        const hint = near === undefined ? (known.length <= 12 ? ` (known: ${known.join(', ')})` : '') : `, did you mean '${near}'?`;
        reader.report(keyNode, `unknown key '${key}'${node.path === '' ? '' : ` in ${node.path}`}${hint}`);
        continue;
      }
      seen.add(key);
      const field = fields[key]!;
      values[key] = value.kind === 'null' ? field.absent(value, reader, value.path) : field.decode(value, reader);
    }
    for (const key of known) if (!seen.has(key)) values[key] = fields[key]!.absent(node, reader, joinPath(node.path, key));
    return values as ObjectValue<F>;
  };
  return {
    ...required<ObjectValue<F>>('map'),
    decode: (node, reader) => (node.kind === 'map' ? read(node, reader) : wrongKind(node, reader, 'map')),
  };
}

/** May be absent or null: undefined then. */
export function optional<T>(schema: Schema<T>): Schema<T | undefined> {
  return { wants: schema.wants, decode: schema.decode.bind(schema), absent: () => undefined };
}

/** May be absent or null: the default then. */
export function withDefault<T, const D>(schema: Schema<T>, value: D): Schema<T | D> {
  return { wants: schema.wants, decode: schema.decode.bind(schema), absent: () => value };
}

/** May be absent or null: read as an empty map then, so that the defaults of its fields apply. */
export function orEmpty<F extends SchemaFields>(fields: F): Schema<ObjectValue<F>> {
  const inner = object(fields);
  return {
    wants: inner.wants,
    decode: inner.decode.bind(inner),
    absent(at, reader, key) {
      const values: Record<string, unknown> = {};
      for (const name of Object.keys(fields)) values[name] = fields[name]!.absent(at, reader, joinPath(key, name));
      return values as ObjectValue<F>;
    },
  };
}

/** Changes or checks a value. What `change` throws becomes a problem at the node, with the path before it. */
export function mapped<T, U>(schema: Schema<T>, change: (value: T) => U): Schema<U> {
  const apply = (node: YamlNode, reader: ConfigReader, value: T | undefined): U | undefined => {
    if (value === undefined) return undefined;
    try {
      return change(value);
    } catch (error) {
      return reader.report(node, `${node.path === '' ? '' : `${node.path}: `}${errorText(error)}`);
    }
  };
  return {
    wants: schema.wants,
    decode: (node, reader) => apply(node, reader, schema.decode(node, reader)),
    absent: (at, reader, key) => apply(at, reader, schema.absent(at, reader, key)),
  };
}

/** The first schema that reads the node without problems; the problems of the last when none does. */
export function either<A, B>(first: Schema<A>, second: Schema<B>, choose: (node: YamlNode, reader: ConfigReader) => 'first' | 'second'): Schema<A | B> {
  const wants = `${first.wants} or ${second.wants}`;
  return {
    ...required<A | B>(wants),
    decode: (node, reader) => (choose(node, reader) === 'first' ? first.decode(node, reader) : second.decode(node, reader)),
  };
}

/** A part whose schema depends on something read elsewhere (`config` below `type`). */
export interface Deferred {
  /** Whether the part is there at all. */
  readonly present: boolean;
  /** Reads the part now. @throws ConfigError with positions in the whole text */
  decode<T>(schema: Schema<T>): T;
}

/** Keeps a part of the text for later; see {@link Deferred}. */
export function deferred(): Schema<Deferred> {
  const keep = (node: YamlNode, reader: ConfigReader, present: boolean, key: string): Deferred => ({
    present,
    decode: (schema) => reader.finish(() => (present ? schema.decode(node, reader) : schema.absent({ ...node, path: key }, reader, key))),
  });
  return {
    wants: 'anything',
    decode: (node, reader) => keep(node, reader, true, node.path),
    absent: (at, reader, key) => keep(at, reader, false, key),
  };
}

function scalar<T>(wants: string, convert: (text: string, plain: boolean) => T | undefined): Schema<T> {
  return {
    ...required<T>(wants),
    decode(node, reader) {
      if (node.kind !== 'scalar') return wrongKind(node, reader, wants);
      const text = reader.text(node);
      const before = node.path === '' ? '' : `${node.path}: `;
      try {
        const value = convert(text, reader.isPlain(node));
        return value === undefined ? reader.report(node, `${before}wanted ${wants}, got ${reader.isPlain(node) ? `'${text.slice(0, 80)}'` : JSON.stringify(text.slice(0, 80))}`) : value;
      } catch (error) {
        return reader.report(node, before + errorText(error));
      }
    },
  };
}

function required<T>(wants: string): Pick<Schema<T>, 'wants' | 'absent'> {
  return { wants, absent: (at, reader, key) => reader.report(at, `${key === '' ? 'document is empty' : `missing '${key}'`}: wanted ${wants}`) };
}

function wrongKind(node: YamlNode, reader: ConfigReader, wants: string): undefined {
  return reader.report(node, `${node.path === '' ? '' : `${node.path}: `}wanted ${wants}, got ${describeNode(node)}`);
}
