/**
 * Records of what goes beside samples.
 *
 *   4 exemplars   u64 first ref, u64 first t │ (varint ref − first, varint t − first, f64 value, uvarint labels, (name, value)…)…
 *   6 metadata    (uvarint ref, u8 type, uvarint fields, (name, value)…)…        fields: UNIT, HELP; others are passed over
 *
 * Source: Prometheus tsdb/record/record.go.
 */
import { ByteReader, type GrowableBytes } from '@gauntlet/bytes';
import type { Exemplar } from '../head/exemplar-buffer.ts';
import { METRIC_TYPES, type SeriesMetadata } from '../head/metadata-table.ts';
import { badRecord, RECORD } from './record.ts';

/** An exemplar of a series. */
export interface ExemplarEntry {
  readonly ref: number;
  readonly exemplar: Exemplar;
}

/** The metadata of a series. */
export interface MetadataEntry {
  readonly ref: number;
  readonly metadata: SeriesMetadata;
}

/** Appends a record of exemplars; nothing when there are none. */
export function encodeExemplarsRecord(entries: readonly ExemplarEntry[], out: GrowableBytes): void {
  const first = entries[0];
  if (first === undefined) return;
  out.putU8(RECORD.exemplars);
  out.putBE64(first.ref);
  out.putBE64(first.exemplar.timeMs);
  for (const { ref, exemplar } of entries) {
    out.putVarint(ref - first.ref);
    out.putVarint(exemplar.timeMs - first.exemplar.timeMs);
    out.putFloat64BE(exemplar.value);
    out.putUvarint(exemplar.labels.length / 2);
    for (const text of exemplar.labels) out.putUvarintString(text);
  }
}

/** Reads a record of exemplars. @throws TsdbError ERR_WAL_RECORD */
export function decodeExemplarsRecord(record: Uint8Array, visit: (ref: number, exemplar: Exemplar) => void): void {
  const reader = new ByteReader(record, 1);
  try {
    if (reader.remaining === 0) return;
    const firstRef = reader.be64();
    const firstTime = reader.beI64();
    while (reader.remaining > 0) {
      const ref = firstRef + reader.varint();
      const timeMs = firstTime + reader.varint();
      const value = reader.float64BE();
      const labels = readTexts(reader);
      visit(ref, { labels, value, timeMs });
    }
  } catch (error) {
    throw badRecord('exemplars', error);
  }
}

/** Appends a record of metadata; nothing when there is none. */
export function encodeMetadataRecord(entries: readonly MetadataEntry[], out: GrowableBytes): void {
  if (entries.length === 0) return;
  out.putU8(RECORD.metadata);
  for (const { ref, metadata } of entries) {
    out.putUvarint(ref);
    out.putU8(METRIC_TYPES.indexOf(metadata.type));
    out.putUvarint(2);
    for (const text of ['UNIT', metadata.unit, 'HELP', metadata.help]) out.putUvarintString(text);
  }
}

/** Reads a record of metadata. @throws TsdbError ERR_WAL_RECORD */
export function decodeMetadataRecord(record: Uint8Array, visit: (ref: number, metadata: SeriesMetadata) => void): void {
  const reader = new ByteReader(record, 1);
  try {
    while (reader.remaining > 0) {
      const ref = reader.uvarint();
      const type = METRIC_TYPES[reader.u8()] ?? 'unknown';
      const fields = readTexts(reader);
      let unit = '';
      let help = '';
      for (let i = 0; i < fields.length; i += 2) {
        if (fields[i] === 'UNIT') unit = fields[i + 1]!;
        else if (fields[i] === 'HELP') help = fields[i + 1]!;
      }
      visit(ref, { type, unit, help });
    }
  } catch (error) {
    throw badRecord('metadata', error);
  }
}

function readTexts(reader: ByteReader): string[] {
  const texts = reader.uvarint() * 2;
  if (texts > reader.remaining) throw new RangeError(`${texts / 2} pairs in ${reader.remaining} bytes`);
  return Array.from({ length: texts }, () => reader.uvarintString());
}
