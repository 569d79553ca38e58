/**
 * meta.json: what a block is. Tab-indented JSON with keys in the order Go writes them; zero counters are left out.
 *
 *   { "ulid", "minTime", "maxTime", "stats": {…}, "compaction": {"level", "sources", …}, "version": 1, "thanos": {…}? }
 *
 * A block covers [minTime, maxTime) in ms. Keys this version does not know, and the whole `thanos` section, are kept and
 * written back. See Prometheus tsdb/block.go `BlockMeta`; the section itself is package `block`'s business.
 */
import { TsdbError } from '../errors.ts';
import { isUlid } from './ulid.ts';

/** Counters of a block. */
export interface BlockStats {
  readonly numSamples: number;
  readonly numFloatSamples?: number;
  readonly numHistogramSamples?: number;
  readonly numSeries: number;
  readonly numChunks: number;
  readonly numTombstones?: number;
}

/** A block that went into another one. */
export interface BlockDesc {
  readonly ulid: string;
  readonly minTime: number;
  readonly maxTime: number;
}

/** Where a block comes from. */
export interface BlockCompaction {
  /** 1 for a block cut from a head. */
  readonly level: number;
  /** ULIDs of the level-1 blocks in it. */
  readonly sources: readonly string[];
  readonly deletable?: boolean;
  readonly parents?: readonly BlockDesc[];
  readonly failed?: boolean;
  /** E.g. `from-out-of-order`. */
  readonly hints?: readonly string[];
}

/** Contents of meta.json. */
export interface BlockMeta {
  readonly ulid: string;
  /** First millisecond of the block's range, inclusive. */
  readonly minTime: number;
  /** End of the block's range, exclusive. */
  readonly maxTime: number;
  readonly stats: BlockStats;
  readonly compaction: BlockCompaction;
  readonly version: 1;
  /** Parsed `thanos` section, untouched. */
  readonly thanos?: unknown;
  /** Top-level keys unknown here, in file order. */
  readonly extra?: ReadonlyMap<string, unknown>;
}

const KNOWN_KEYS: ReadonlySet<string> = new Set(['ulid', 'minTime', 'maxTime', 'stats', 'compaction', 'version', 'thanos']);

/** JSON as Go's encoder writes it: tabs, and `<`, `>`, `&`, U+2028, U+2029 escaped. */
function goJson(value: unknown): string {
  return JSON.stringify(value, null, '\t').replace(/[<>&\u2028\u2029]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

type JsonObject = Readonly<Record<string, unknown>>;

function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/**
 * Reads meta.json.
 * @param name path or block id for error messages
 * @throws TsdbError ERR_BLOCK_META
 */
export function parseBlockMeta(bytes: Uint8Array, name: string): BlockMeta {
  const refuse = (what: string, cause?: unknown): never => {
    throw new TsdbError('ERR_BLOCK_META', `read meta.json of block ${name}: ${what}`, { cause, place: { block: name, file: 'meta.json', section: '', offset: 0 } });
  };
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (error) {
    return refuse(`not JSON (${(error as Error).message})`, error);
  }
  if (!isObject(json)) return refuse('not a JSON object');
  if (json['version'] !== 1) return refuse(`unexpected meta file version ${String(json['version'])}`);
  const integer = (object: JsonObject, key: string, path: string): number => {
    const value = object[key] ?? 0;
    return typeof value === 'number' && Number.isSafeInteger(value) ? value : refuse(`${path}${key} is ${JSON.stringify(value)}, want an integer`);
  };
  const ulidOf = (object: JsonObject, path: string): string => {
    const value = object['ulid'];
    return typeof value === 'string' && isUlid(value) ? value : refuse(`${path}ulid is ${JSON.stringify(value)}, want a ULID`);
  };
  const strings = (object: JsonObject, key: string): readonly string[] => {
    const value = object[key] ?? [];
    return Array.isArray(value) && value.every((entry) => typeof entry === 'string') ? (value as string[]) : refuse(`compaction.${key} is not a list of strings`);
  };
  const statsJson = json['stats'] ?? {};
  const compactionJson = json['compaction'] ?? {};
  if (!isObject(statsJson)) return refuse('stats is not an object');
  if (!isObject(compactionJson)) return refuse('compaction is not an object');
  const parentsJson = compactionJson['parents'] ?? [];
  if (!Array.isArray(parentsJson) || !parentsJson.every(isObject)) return refuse('compaction.parents is not a list of objects');

  const optional = (key: string): number | undefined => integer(statsJson, key, 'stats.') || undefined;
  const numFloatSamples = optional('numFloatSamples');
  const numHistogramSamples = optional('numHistogramSamples');
  const numTombstones = optional('numTombstones');
  const hints = strings(compactionJson, 'hints');
  const extra = new Map(Object.entries(json).filter(([key]) => !KNOWN_KEYS.has(key)));
  return {
    ulid: ulidOf(json, ''),
    minTime: integer(json, 'minTime', ''),
    maxTime: integer(json, 'maxTime', ''),
    stats: {
      numSamples: integer(statsJson, 'numSamples', 'stats.'),
      ...(numFloatSamples !== undefined && { numFloatSamples }),
      ...(numHistogramSamples !== undefined && { numHistogramSamples }),
      numSeries: integer(statsJson, 'numSeries', 'stats.'),
      numChunks: integer(statsJson, 'numChunks', 'stats.'),
      ...(numTombstones !== undefined && { numTombstones }),
    },
    compaction: {
      level: integer(compactionJson, 'level', 'compaction.'),
      sources: strings(compactionJson, 'sources'),
      ...(compactionJson['deletable'] === true && { deletable: true }),
      ...(parentsJson.length > 0 && {
        parents: parentsJson.map((parent) => ({
          ulid: ulidOf(parent, 'compaction.parents.'),
          minTime: integer(parent, 'minTime', 'compaction.parents.'),
          maxTime: integer(parent, 'maxTime', 'compaction.parents.'),
        })),
      }),
      ...(compactionJson['failed'] === true && { failed: true }),
      ...(hints.length > 0 && { hints }),
    },
    version: 1,
    ...(json['thanos'] !== undefined && { thanos: json['thanos'] }),
    ...(extra.size > 0 && { extra }),
  };
}

/** An object of the entries whose value is not empty (0, false, [] or undefined), as Go's `omitempty`. */
function omitEmpty(entries: readonly (readonly [string, unknown])[]): Record<string, unknown> {
  return Object.fromEntries(entries.filter(([, value]) => value !== undefined && value !== 0 && value !== false && !(Array.isArray(value) && value.length === 0)));
}

/** Writes meta.json as Prometheus does; with a `thanos` section as Thanos does, that is, ended by a newline. */
export function formatBlockMeta(meta: BlockMeta): Uint8Array {
  const { stats, compaction } = meta;
  const json: Record<string, unknown> = {
    ulid: meta.ulid,
    minTime: meta.minTime,
    maxTime: meta.maxTime,
    stats: omitEmpty([
      ['numSamples', stats.numSamples],
      ['numFloatSamples', stats.numFloatSamples],
      ['numHistogramSamples', stats.numHistogramSamples],
      ['numSeries', stats.numSeries],
      ['numChunks', stats.numChunks],
      ['numTombstones', stats.numTombstones],
    ]),
    compaction: {
      level: compaction.level,
      ...omitEmpty([
        ['sources', compaction.sources],
        ['deletable', compaction.deletable],
        ['parents', compaction.parents?.map(({ ulid, minTime, maxTime }) => ({ ulid, minTime, maxTime }))],
        ['failed', compaction.failed],
        ['hints', compaction.hints],
      ]),
    },
    version: meta.version,
    ...(meta.thanos !== undefined && { thanos: meta.thanos }),
    ...Object.fromEntries(meta.extra ?? []),
  };
  return new TextEncoder().encode(goJson(json) + (meta.thanos === undefined ? '' : '\n'));
}
