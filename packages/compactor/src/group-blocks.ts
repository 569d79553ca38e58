/**
 * Groups: blocks of one stream, that is with the same external labels and the same resolution. What is compacted together comes from
 * one group, and groups can be worked on independently.
 *
 *   key = <resolution in ms>@<xxhash64 of name 0xff value 0xff …, decimal>      as Thanos writes it: directory name and log field
 */
import { groupKey as streamKey } from '@gauntlet/block';
import type { ThanosMeta } from '@gauntlet/block';
import { compareUtf8, utf8Encode, wordsToBigInt, xxhash64 } from '@gauntlet/bytes';
import type { Labels } from '@gauntlet/model';

/** Blocks of one stream. */
export interface BlockGroup {
  /** Fit for a directory name. */
  readonly key: string;
  /** External labels, without replica labels where those are taken off. */
  readonly labels: Labels;
  /** 0 raw, 300000 or 3600000. */
  readonly resolutionMs: number;
  /** By minTime, then maxTime, then id. */
  readonly metas: readonly ThanosMeta[];
}

/** Name of the group of this stream. */
export function groupName(labels: Labels, resolutionMs: number): string {
  const bytes: number[] = [];
  for (const text of labels) bytes.push(...utf8Encode(text), 0xff);
  return `${resolutionMs}@${wordsToBigInt(xxhash64(Uint8Array.from(bytes)))}`;
}

/** Order of blocks in a group. */
export function compareByMinTime(a: ThanosMeta, b: ThanosMeta): number {
  return a.minTime - b.minTime || a.maxTime - b.maxTime || compareUtf8(a.ulid, b.ulid);
}

/** Sorts blocks into groups. @returns sorted by key */
export function groupBlocks(metas: Iterable<ThanosMeta>): BlockGroup[] {
  const streams = new Map<string, ThanosMeta[]>();
  for (const meta of metas) {
    const key = streamKey(meta);
    const stream = streams.get(key);
    if (stream === undefined) streams.set(key, [meta]);
    else stream.push(meta);
  }
  const groups = [...streams.values()].map((stream) => {
    stream.sort(compareByMinTime);
    const { labels, resolutionMs } = stream[0]!.thanos;
    return { key: groupName(labels, resolutionMs), labels, resolutionMs, metas: stream };
  });
  return groups.sort((a, b) => compareUtf8(a.key, b.key));
}
