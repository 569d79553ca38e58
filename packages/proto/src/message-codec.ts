/**
 * Codecs of control-plane messages from field tables, so that clients in worker threads need no protobuf library:
 *
 *   const labelMatcher: Codec<LabelMatcher> = message<LabelMatcher>({ type: field(1, 'int32'), name: field(2, 'string'), … });
 *
 * proto3 rules: zero scalars are not written and read as zero; a missing message is `undefined`; unknown fields are skipped; of
 * repeated occurrences of a single field the last one holds. Hot messages (Series frames, remote write) have their own codecs.
 */
import type { WireReader } from './wire-reader.ts';
import { WIRE, WireReader as Reader } from './wire-reader.ts';
import { WireWriter } from './wire-writer.ts';

/** A message type both ways. */
export interface Codec<T> {
  /** @returns bytes that the caller owns */
  encode(value: T): Uint8Array;
  /** @param bytes read, not retained, except by fields of type `bytes`, which are views @throws ProtoError */
  decode(bytes: Uint8Array): T;
  /** Writes the fields without length. */
  write(value: T, writer: WireWriter): void;
  /** Reads fields up to `reader.end`. */
  read(reader: WireReader): T;
}

type Scalar = 'string' | 'bytes' | 'bool' | 'int32' | 'uint32' | 'sint32' | 'int64' | 'double';

/** One field: number, value type, and whether it may come more than once. */
export interface Field {
  readonly number: number;
  readonly type: Scalar | Codec<never>;
  readonly repeated: boolean;
  /** Type of the keys, if the field is a map. */
  readonly key?: Scalar;
}

/** A field that comes at most once. Scalars default to zero, messages to `undefined`. */
export function field<T>(number: number, type: Scalar | Codec<T>): Field {
  return { number, type: type as Scalar | Codec<never>, repeated: false };
}

/** A field that may come any number of times; an array, empty if it does not come. Numbers are packed. */
export function repeated<T>(number: number, type: Scalar | Codec<T>): Field {
  return { number, type: type as Scalar | Codec<never>, repeated: true };
}

/** A `map<string, V>` field, as a `Map`. */
export function mapField<T>(number: number, type: Scalar | Codec<T>): Field {
  return { number, type: type as Scalar | Codec<never>, repeated: true, key: 'string' };
}

const WIRE_OF: Record<Scalar, number> = {
  string: WIRE.lengthDelimited,
  bytes: WIRE.lengthDelimited,
  bool: WIRE.varint,
  int32: WIRE.varint,
  uint32: WIRE.varint,
  sint32: WIRE.varint,
  int64: WIRE.varint,
  double: WIRE.fixed64,
};

/** Builds the codec of a message whose TypeScript properties are the keys of `fields`. */
export function message<T extends object>(fields: { readonly [K in keyof T]-?: Field }): Codec<T> {
  const entries = Object.entries(fields) as [string, Field][];
  const byNumber = new Map<number, [string, Field]>(entries.map((entry) => [entry[1].number, entry]));
  const ordered = entries.toSorted((a, b) => a[1].number - b[1].number);

  const write = (value: T, w: WireWriter): void => {
    const source = value as Record<string, unknown>;
    for (const [name, f] of ordered) writeField(w, f, source[name]);
  };
  const read = (r: WireReader): T => {
    const out: Record<string, unknown> = {};
    for (const [name, f] of ordered) out[name] = emptyValue(f);
    for (let tag = r.tag(); tag !== 0; tag = r.tag()) {
      const known = byNumber.get(tag >>> 3);
      if (known === undefined) r.skip(tag);
      else readField(r, tag, known[0], known[1], out);
    }
    return out as T;
  };
  return {
    write,
    read,
    encode: (value) => {
      const w = new WireWriter();
      write(value, w);
      return w.take();
    },
    decode: (bytes) => read(new Reader().reset(bytes)),
  };
}

function emptyValue(f: Field): unknown {
  if (f.key !== undefined) return new Map();
  if (f.repeated) return [];
  switch (f.type) {
    case 'string':
      return '';
    case 'bytes':
      return new Uint8Array(0);
    case 'bool':
      return false;
    default:
      return typeof f.type === 'string' ? 0 : undefined;
  }
}

function readField(r: WireReader, tag: number, name: string, f: Field, out: Record<string, unknown>): void {
  const wire = tag & 7;
  if (f.key !== undefined) {
    if (wire !== WIRE.lengthDelimited) throw r.wireType(tag, `field ${name}`);
    readMapEntry(r, f, out[name] as Map<string, unknown>);
    return;
  }
  const expected = typeof f.type === 'string' ? WIRE_OF[f.type] : WIRE.lengthDelimited;
  if (f.repeated && wire === WIRE.lengthDelimited && expected !== WIRE.lengthDelimited) {
    const list = out[name] as unknown[];
    const outer = r.enter();
    while (r.pos < r.end) list.push(readValue(r, f.type));
    r.leave(outer);
    return;
  }
  if (wire !== expected) throw r.wireType(tag, `field ${name}`);
  const value = readValue(r, f.type);
  if (f.repeated) (out[name] as unknown[]).push(value);
  else out[name] = value;
}

function readMapEntry(r: WireReader, f: Field, map: Map<string, unknown>): void {
  let key = '';
  let value = emptyValue({ ...f, key: undefined as never, repeated: false });
  const outer = r.enter();
  for (let tag = r.tag(); tag !== 0; tag = r.tag()) {
    if (tag === ((1 << 3) | WIRE.lengthDelimited)) key = r.string();
    else if (tag >>> 3 === 2) value = readValue(r, f.type);
    else r.skip(tag);
  }
  r.leave(outer);
  map.set(key, value ?? readNested(new Reader().reset(new Uint8Array(0)), f.type as Codec<never>));
}

function readValue(r: WireReader, type: Scalar | Codec<never>): unknown {
  switch (type) {
    case 'string':
      return r.string();
    case 'bytes':
      return r.view();
    case 'bool':
      return r.bool();
    case 'int32':
      return r.int32();
    case 'uint32':
      return r.uint32();
    case 'sint32':
      return r.sint32();
    case 'int64':
      return r.int64();
    case 'double':
      return r.double();
    default: {
      const outer = r.enter();
      const value = readNested(r, type);
      r.leave(outer);
      return value;
    }
  }
}

function readNested(r: WireReader, codec: Codec<never>): unknown {
  return codec.read(r);
}

function writeField(w: WireWriter, f: Field, value: unknown): void {
  if (f.key !== undefined) {
    for (const [key, entry] of value as Map<string, unknown>) {
      w.uint32((f.number << 3) | WIRE.lengthDelimited);
      const mark = w.open();
      writeField(w, { number: 1, type: 'string', repeated: false }, key);
      writeField(w, { number: 2, type: f.type, repeated: false }, entry);
      w.close(mark);
    }
    return;
  }
  if (!f.repeated) {
    if (!isZero(f.type, value)) writeValue(w, f.number, f.type, value);
    return;
  }
  const list = value as readonly unknown[];
  if (list.length === 0) return;
  if (typeof f.type === 'string' && WIRE_OF[f.type] !== WIRE.lengthDelimited) {
    w.uint32((f.number << 3) | WIRE.lengthDelimited);
    const mark = w.open();
    for (const item of list) writeScalar(w, f.type, item);
    w.close(mark);
    return;
  }
  for (const item of list) writeValue(w, f.number, f.type, item);
}

function isZero(type: Scalar | Codec<never>, value: unknown): boolean {
  if (value === undefined) return true;
  switch (type) {
    case 'string':
      return value === '';
    case 'bytes':
      return (value as Uint8Array).length === 0;
    case 'bool':
      return value === false;
    case 'double':
      return Object.is(value, 0);
    default:
      return value === 0;
  }
}

function writeValue(w: WireWriter, number: number, type: Scalar | Codec<never>, value: unknown): void {
  if (typeof type === 'string') {
    w.uint32((number << 3) | WIRE_OF[type]);
    writeScalar(w, type, value);
    return;
  }
  w.uint32((number << 3) | WIRE.lengthDelimited);
  const mark = w.open();
  type.write(value as never, w);
  w.close(mark);
}

function writeScalar(w: WireWriter, type: Scalar, value: unknown): void {
  switch (type) {
    case 'string':
      return w.string(value as string);
    case 'bytes':
      return w.lengthDelimited(value as Uint8Array);
    case 'bool':
      return w.byte(value === true ? 1 : 0);
    case 'int32':
      return w.int32(value as number);
    case 'uint32':
      return w.uint32(value as number);
    case 'sint32':
      return w.sint32(value as number);
    case 'int64':
      return w.int64(value as number);
    case 'double':
      return w.double(value as number);
  }
}
