/**
 * A meta as Go templates see it: the fields of Thanos' metadata.Meta by their Go names, printed as Go's %v prints them.
 *
 *   {{.ULID}}   {{.Stats.NumSeries}}   {{.Thanos.Labels.cluster}}   {{.Compaction.Sources}}   {{.Thanos.UploadTime}}
 */
import { createThanosSection, type ThanosMeta } from '@gauntlet/block';
import { labelsToObject } from '@gauntlet/model';
import { formatGoTime } from './go-text.ts';

/** A value of a template. Structs have fields that are known beforehand; maps have the keys they happen to have. */
export type FieldValue =
  | { readonly kind: 'text'; readonly text: string }
  /** `text` where a struct has a text of its own. */
  | { readonly kind: 'struct'; readonly fields: ReadonlyMap<string, FieldValue>; readonly text?: string }
  | { readonly kind: 'map'; readonly entries: ReadonlyMap<string, string> }
  /** Not there. */
  | { readonly kind: 'nil' }
  /** There, but without a text that is of use: an address in Go. */
  | { readonly kind: 'opaque' };

const text = (value: string | number | boolean): FieldValue => ({ kind: 'text', text: String(value) });
const list = (values: readonly string[]): FieldValue => text(`[${values.join(' ')}]`);
const struct = (fields: Readonly<Record<string, FieldValue>>): Extract<FieldValue, { kind: 'struct' }> => ({ kind: 'struct', fields: new Map(Object.entries(fields)) });
const OPAQUE: FieldValue = { kind: 'opaque' };

/** The fields of a meta. */
export function fieldsOfMeta(meta: ThanosMeta): FieldValue {
  const { stats, compaction, thanos } = meta;
  const fields = struct({
    ULID: text(meta.ulid),
    MinTime: text(meta.minTime),
    MaxTime: text(meta.maxTime),
    Stats: struct({
      NumSamples: text(stats.numSamples),
      NumFloatSamples: text(stats.numFloatSamples ?? 0),
      NumHistogramSamples: text(stats.numHistogramSamples ?? 0),
      NumSeries: text(stats.numSeries),
      NumChunks: text(stats.numChunks),
      NumTombstones: text(stats.numTombstones ?? 0),
    }),
    Compaction: struct({
      Level: text(compaction.level),
      Sources: list(compaction.sources),
      Deletable: text(compaction.deletable ?? false),
      Parents: list((compaction.parents ?? []).map(({ ulid, minTime, maxTime }) => `{${ulid} ${minTime} ${maxTime}}`)),
      Failed: text(compaction.failed ?? false),
      Hints: list(compaction.hints ?? []),
    }),
    Version: text(meta.version),
    Thanos: struct({
      Version: text(thanos.hasVersion ? 1 : 0),
      Labels: { kind: 'map', entries: new Map(Object.entries(labelsToObject(thanos.labels))) },
      Downsample: struct({ Resolution: text(thanos.resolutionMs) }),
      Source: text(thanos.source),
      SegmentFiles: list(thanos.segmentFiles),
      Files: thanos.files.some(({ hash }) => hash !== undefined) ? OPAQUE : list(thanos.files.map(({ relPath, sizeBytes }) => `{${relPath} ${sizeBytes ?? 0} <nil>}`)),
      Rewrites: thanos.rewrites === undefined ? list([]) : OPAQUE,
      IndexStats: struct({ SeriesMaxSize: text(thanos.seriesMaxBytes), ChunkMaxSize: text(thanos.chunkMaxBytes) }),
      Extensions: thanos.extensions === undefined ? { kind: 'nil' } : OPAQUE,
      UploadTime: text(formatGoTime(thanos.uploadTime)),
    }),
  });
  return { ...fields, text: `${meta.ulid} (min time: ${meta.minTime}, max time: ${meta.maxTime})` };
}

/** A value as Go's %v prints it, or undefined where that says nothing. */
export function formatFieldValue(value: FieldValue): string | undefined {
  if (value.kind === 'opaque') return undefined;
  if (value.kind === 'nil') return '<nil>';
  if (value.kind === 'map') return formatGoMap(value.entries);
  if (value.kind === 'text' || value.text !== undefined) return value.text;
  const texts = [...value.fields.values()].map(formatFieldValue);
  return texts.includes(undefined) ? undefined : `{${texts.join(' ')}}`;
}

/** A meta with nothing in it, to check templates against. */
export const BLANK_META: ThanosMeta = {
  ulid: '00000000000000000000000000', minTime: 0, maxTime: 0, stats: { numSamples: 0, numSeries: 0, numChunks: 0 }, compaction: { level: 0, sources: [] }, version: 1, thanos: createThanosSection({}),
};

/** As Go prints a map: `map[a:1 b:2]`, keys in byte order. */
function formatGoMap(entries: ReadonlyMap<string, string>): string {
  const sorted = [...entries].sort(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  return `map[${sorted.map(([key, value]) => `${key}:${value}`).join(' ')}]`;
}
