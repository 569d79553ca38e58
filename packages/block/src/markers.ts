/**
 * Markers: small JSON objects beside a block that say what not to do with it any more.
 *
 *   <ulid>/deletion-mark.json        {"id","version":1,"details"?,"deletion_time"}
 *   <ulid>/no-compact-mark.json      {"id","version":1,"details"?,"no_compact_time","reason"}
 *   <ulid>/no-downsample-mark.json   {"id","version":1,"details"?,"no_downsample_time","reason"}
 *
 * Times are Unix seconds. Source: Thanos pkg/block/metadata/markers.go.
 */
import { isNotFound } from '@gauntlet/objstore';
import type { Bucket } from '@gauntlet/objstore';
import { errorText } from '@gauntlet/service-kit';
import type { Counter, Logger } from '@gauntlet/service-kit';

import { BlockError } from './errors.ts';
import { encodeGoJson } from './go-json.ts';

/** Kinds of markers: file name, key of the time, and whether there is a reason. */
export const MARKERS = {
  deletion: { file: 'deletion-mark.json', timeKey: 'deletion_time', hasReason: false },
  'no-compact': { file: 'no-compact-mark.json', timeKey: 'no_compact_time', hasReason: true },
  'no-downsample': { file: 'no-downsample-mark.json', timeKey: 'no_downsample_time', hasReason: true },
} as const;
/** A kind of marker. */
export type MarkerKind = keyof typeof MARKERS;

/** Reasons Thanos gives for no-compact marks; no-downsample marks have `manual` only. */
export const MARKER_REASONS = ['manual', 'index-size-exceeding', 'block-index-out-of-order-chunk', 'downsample-vertical-compaction'] as const;

/** A marker. */
export interface Marker {
  readonly id: string;
  /** When the mark was set, Unix seconds. */
  readonly timeSeconds: number;
  readonly details: string;
  /** Empty for deletion marks. */
  readonly reason: string;
}

/** Name of a marker object. */
export function markerKey(id: string, kind: MarkerKind): string {
  return `${id}/${MARKERS[kind].file}`;
}

/** Writes a marker as Thanos does: compact, without newline. */
export function formatMarker(marker: Marker, kind: MarkerKind): Uint8Array {
  const { timeKey, hasReason } = MARKERS[kind];
  return new TextEncoder().encode(encodeGoJson({
    id: marker.id, version: 1, details: marker.details === '' ? undefined : marker.details, [timeKey]: marker.timeSeconds, reason: hasReason ? marker.reason : undefined,
  }, ''));
}

/**
 * Reads a marker.
 * @throws BlockError ERR_MARKER_CORRUPT, which readers treat as absent with a warning; ERR_MARKER_VERSION
 */
export function parseMarker(bytes: Uint8Array, id: string, kind: MarkerKind): Marker {
  const { file, timeKey } = MARKERS[kind];
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder().decode(bytes));
  } catch (error) {
    throw new BlockError('ERR_MARKER_CORRUPT', `read ${file} of block ${id}: not JSON (${errorText(error)})`, error);
  }
  if (typeof json !== 'object' || json === null || Array.isArray(json)) throw new BlockError('ERR_MARKER_CORRUPT', `read ${file} of block ${id}: not a JSON object`);
  const fields = json as Readonly<Record<string, unknown>>;
  const text = (key: string): string => {
    const value = fields[key] ?? '';
    if (typeof value !== 'string') throw new BlockError('ERR_MARKER_CORRUPT', `read ${file} of block ${id}: ${key} is ${JSON.stringify(value)}, want a string`);
    return value;
  };
  const time = fields[timeKey] ?? 0;
  if (!Number.isSafeInteger(time)) throw new BlockError('ERR_MARKER_CORRUPT', `read ${file} of block ${id}: ${timeKey} is ${JSON.stringify(time)}, want Unix seconds`);
  if (fields['version'] !== 1) throw new BlockError('ERR_MARKER_VERSION', `read ${file} of block ${id}: unexpected version ${JSON.stringify(fields['version'] ?? 0)}, expected 1`);
  return { id: text('id'), timeSeconds: time as number, details: text('details'), reason: text('reason') };
}

/**
 * Reads a marker from a bucket.
 * @returns undefined if the block is not marked
 * @throws BlockError as {@link parseMarker}; ObjstoreError
 */
export async function readMarker(bucket: Bucket, id: string, kind: MarkerKind, signal?: AbortSignal): Promise<Marker | undefined> {
  let bytes: Uint8Array;
  try {
    bytes = await bucket.get(markerKey(id, kind), { isExpected: isNotFound, ...(signal === undefined ? {} : { signal }) });
  } catch (error) {
    if (isNotFound(error)) return undefined;
    throw error;
  }
  return parseMarker(bytes, id, kind);
}

/** What marking needs. */
export interface MarkDeps {
  readonly bucket: Bucket;
  readonly log: Logger;
  /** Milliseconds since 1970. */
  readonly clock: () => number;
  /** Counts marks that were set. */
  readonly marked?: Counter;
}

/**
 * Marks a block. One that is marked already keeps its mark: the first time counts for delays.
 * @returns whether a mark was set
 */
export async function markBlock(deps: MarkDeps, id: string, kind: MarkerKind, details: string, reason: string = 'manual', signal?: AbortSignal): Promise<boolean> {
  const { bucket, log, clock, marked } = deps;
  const options = signal === undefined ? {} : { signal };
  if (await bucket.exists(markerKey(id, kind), options)) {
    log.warn('requested to mark a block that is marked already', { block: id, mark: MARKERS[kind].file });
    return false;
  }
  const marker: Marker = { id, timeSeconds: Math.floor(clock() / 1000), details, reason: MARKERS[kind].hasReason ? reason : '' };
  await bucket.upload(markerKey(id, kind), formatMarker(marker, kind), options);
  marked?.inc();
  log.info('block has been marked', { block: id, mark: MARKERS[kind].file });
  return true;
}

/** Removes a mark; one that is not there is removed already. */
export async function unmarkBlock(bucket: Bucket, id: string, kind: MarkerKind, signal?: AbortSignal): Promise<void> {
  await bucket.delete(markerKey(id, kind), signal === undefined ? {} : { signal });
}
