/**
 * meta.json of a block in a bucket: Prometheus' meta (tsdb) with the `thanos` section. Written byte-equal to Thanos: tabs, keys in
 * its order, empty members left out where Go leaves them out, a newline at the end.
 *
 *   "thanos": { version?, labels, downsample: {resolution}, source, segment_files?, files?, rewrites?, index_stats, extensions?, upload_time }
 *
 * Source: Thanos docs/storage.md and pkg/block/metadata/meta.go. A file written by Prometheus alone has no section; it reads as one
 * without labels and source.
 */
import { formatBlockMeta, parseBlockMeta } from '@gauntlet/tsdb';
import type { BlockMeta } from '@gauntlet/tsdb';
import { labelsFromMap } from '@gauntlet/model';
import type { Labels } from '@gauntlet/model';
import { errorText } from '@gauntlet/service-kit';

import { BlockError } from './errors.ts';
import { encodeGoJson } from './go-json.ts';
import type { JsonValue } from './go-json.ts';

/** Who made a block. */
export const BLOCK_SOURCES = ['', 'sidecar', 'receive', 'compactor', 'compactor.repair', 'ruler', 'bucket.repair', 'bucket.rewrite', 'bucket.upload', 'test'] as const;
/** One of {@link BLOCK_SOURCES}. */
export type BlockSource = (typeof BLOCK_SOURCES)[number];

/** Upload time of blocks that do not say it. */
export const UNKNOWN_UPLOAD_TIME = '0001-01-01T00:00:00Z';

/** One file of a block. */
export interface BlockFile {
  /** E.g. `chunks/000001`. */
  readonly relPath: string;
  /** Absent for meta.json. */
  readonly sizeBytes?: number;
  readonly hash?: { readonly func: 'SHA256'; readonly value: string };
}

/** The `thanos` section. */
export interface ThanosSection {
  /** External labels: with the resolution, the identity of the stream the block belongs to. */
  readonly labels: Labels;
  /** 0 raw, 300000 (5m) or 3600000 (1h). */
  readonly resolutionMs: number;
  /** As written, also when it is none of {@link BLOCK_SOURCES}. */
  readonly source: string;
  /** Names of the chunk segments, kept for old readers. */
  readonly segmentFiles: readonly string[];
  /** Sorted by path. Empty when unknown. */
  readonly files: readonly BlockFile[];
  /** Largest series entry and chunk of the index, bytes; 0 unknown. */
  readonly seriesMaxBytes: number;
  readonly chunkMaxBytes: number;
  /** RFC 3339; {@link UNKNOWN_UPLOAD_TIME} unknown. */
  readonly uploadTime: string;
  /** Whether the section states its version. */
  readonly hasVersion: boolean;
  /** Parsed and kept as they are. */
  readonly rewrites: JsonValue | undefined;
  readonly extensions: JsonValue | undefined;
}

/** meta.json of a block in a bucket. */
export interface ThanosMeta extends Omit<BlockMeta, 'thanos'> {
  readonly thanos: ThanosSection;
}

/** A section with nothing in it but what is given. */
export function createThanosSection(given: Partial<ThanosSection>): ThanosSection {
  return {
    labels: [], resolutionMs: 0, source: '', segmentFiles: [], files: [], seriesMaxBytes: 0, chunkMaxBytes: 0, uploadTime: UNKNOWN_UPLOAD_TIME,
    hasVersion: false, rewrites: undefined, extensions: undefined, ...given,
  };
}

/** Upload time in milliseconds since 1970, or undefined if it is not known. */
export function uploadTimeMs(meta: ThanosMeta): number | undefined {
  if (meta.thanos.uploadTime === UNKNOWN_UPLOAD_TIME) return undefined;
  const ms = Date.parse(meta.thanos.uploadTime.replace(/(\.\d{3})\d*/, '$1'));
  return Number.isNaN(ms) ? undefined : ms;
}

/** Size in bytes of a file of the block, if the meta tells it. */
export function fileBytes(meta: ThanosMeta, relPath: string): number | undefined {
  return meta.thanos.files.find((f) => f.relPath === relPath)?.sizeBytes;
}

/** Blocks with the same key are one stream: same external labels, same resolution. */
export function groupKey(meta: ThanosMeta): string {
  return `${meta.thanos.resolutionMs}@${JSON.stringify(meta.thanos.labels)}`;
}

type JsonObject = Readonly<Record<string, unknown>>;

function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Reads fields of one JSON object; absent and null give the default. */
class Fields {
  readonly #object: JsonObject;
  readonly #path: string;
  readonly #refuse: (what: string) => never;

  constructor(value: unknown, path: string, refuse: (what: string) => never) {
    this.#object = value === undefined || value === null ? {} : isObject(value) ? value : refuse(`${path} is not an object`);
    this.#path = path;
    this.#refuse = refuse;
  }

  #get<T>(key: string, wants: string, fallback: T, isWanted: (value: unknown) => boolean): T {
    const value = this.#object[key];
    if (value === undefined || value === null) return fallback;
    return isWanted(value) ? (value as T) : this.#refuse(`${this.#path}.${key} is ${JSON.stringify(value).slice(0, 80)}, want ${wants}`);
  }

  raw(key: string): unknown { return this.#object[key] ?? undefined; }
  text(key: string): string { return this.#get(key, 'a string', '', (v) => typeof v === 'string'); }
  integer(key: string): number { return this.#get(key, 'an integer', 0, (v) => Number.isSafeInteger(v)); }
  list(key: string): readonly unknown[] { return this.#get<readonly unknown[]>(key, 'a list', [], Array.isArray); }
  texts(key: string): readonly string[] { return this.#get<readonly string[]>(key, 'a list of strings', [], (v) => Array.isArray(v) && v.every((e) => typeof e === 'string')); }
  object(key: string): Fields { return new Fields(this.#object[key], `${this.#path}.${key}`, this.#refuse); }
  textMap(key: string): ReadonlyMap<string, string> {
    const value = this.#get<JsonObject>(key, 'a map of strings', {}, (v) => isObject(v) && Object.values(v).every((e) => typeof e === 'string'));
    return new Map(Object.entries(value) as [string, string][]);
  }
}

function parseFile(value: unknown, refuse: (what: string) => never): BlockFile {
  const fields = new Fields(value, 'thanos.files', refuse);
  const sizeBytes = fields.integer('size_bytes');
  const hash = fields.raw('hash') === undefined ? undefined : fields.object('hash');
  const func = hash?.text('hashFunc');
  return {
    relPath: fields.text('rel_path'),
    ...(sizeBytes === 0 ? {} : { sizeBytes }),
    ...(func === 'SHA256' ? { hash: { func, value: hash!.text('value') } } : {}),
  };
}

/**
 * Reads meta.json.
 * @param name block id or path, for messages
 * @throws BlockError ERR_META_CORRUPT (cut off, not JSON, wrong types), ERR_META_VERSION
 */
export function parseThanosMeta(bytes: Uint8Array, name: string): ThanosMeta {
  const refuse = (what: string): never => {
    throw new BlockError('ERR_META_CORRUPT', `read meta.json of block ${name}: ${what}`);
  };
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (error) {
    throw new BlockError('ERR_META_CORRUPT', `read meta.json of block ${name}: not JSON (${errorText(error)})`, error);
  }
  if (!isObject(json)) return refuse('not a JSON object');
  if ((json['version'] ?? 0) !== 1) throw new BlockError('ERR_META_VERSION', `read meta.json of block ${name}: unexpected meta file version ${JSON.stringify(json['version'] ?? 0)}`);
  let base: BlockMeta;
  try {
    base = parseBlockMeta(bytes, name);
  } catch (error) {
    throw new BlockError('ERR_META_CORRUPT', errorText(error), error);
  }
  const section = new Fields(json['thanos'], 'thanos', refuse);
  const version = section.integer('version');
  if (version !== 0 && version !== 1) throw new BlockError('ERR_META_VERSION', `read meta.json of block ${name}: unexpected meta file Thanos section version ${version}`);
  const stats = section.object('index_stats');
  const { thanos, ...meta } = base;
  void thanos;
  return {
    ...meta,
    thanos: {
      labels: labelsFromMap(section.textMap('labels')),
      resolutionMs: section.object('downsample').integer('resolution'),
      source: section.text('source'),
      segmentFiles: section.texts('segment_files'),
      files: section.list('files').map((f) => parseFile(f, refuse)),
      seriesMaxBytes: stats.integer('series_max_size'),
      chunkMaxBytes: stats.integer('chunk_max_size'),
      uploadTime: section.text('upload_time') || UNKNOWN_UPLOAD_TIME,
      hasVersion: version === 1,
      rewrites: section.raw('rewrites') as JsonValue | undefined,
      extensions: section.raw('extensions') as JsonValue | undefined,
    },
  };
}

function encodeSection(section: ThanosSection): string {
  const labels = new Map<string, JsonValue>();
  for (let i = 0; i < section.labels.length; i += 2) labels.set(section.labels[i]!, section.labels[i + 1]!);
  const unlessZero = (n: number): number | undefined => (n === 0 ? undefined : n);
  return encodeGoJson({
    version: section.hasVersion ? 1 : undefined,
    labels,
    downsample: { resolution: section.resolutionMs },
    source: section.source,
    segment_files: section.segmentFiles.length === 0 ? undefined : section.segmentFiles,
    files: section.files.length === 0 ? undefined : section.files.map((f) => ({
      rel_path: f.relPath, size_bytes: f.sizeBytes === undefined ? undefined : unlessZero(f.sizeBytes),
      hash: f.hash === undefined ? undefined : { hashFunc: f.hash.func, value: f.hash.value },
    })),
    rewrites: section.rewrites,
    index_stats: { series_max_size: unlessZero(section.seriesMaxBytes), chunk_max_size: unlessZero(section.chunkMaxBytes) },
    extensions: section.extensions,
    upload_time: section.uploadTime,
  }, '\t', 1);
}

/** Writes meta.json as Thanos does. Keys of other programs at the top level are not carried over, as there. */
export function formatThanosMeta(meta: ThanosMeta): Uint8Array {
  const { thanos, extra, ...base } = meta;
  void extra;
  const text = new TextDecoder().decode(formatBlockMeta(base));
  return new TextEncoder().encode(`${text.slice(0, -2)},\n\t"thanos": ${encodeSection(thanos)}\n}\n`);
}
