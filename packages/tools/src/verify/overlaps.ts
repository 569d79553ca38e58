/**
 * Blocks of one stream (same external labels, same resolution) that share time.
 *
 *   ├── a ──┤
 *       ├── b ──┤        a and b
 *         ├ c ┤          and c: one overlap of three, as long as all of those before are still open
 *              ├── d ──┤ b and d: another one
 *
 * Source: Prometheus tsdb/db.go `OverlappingBlocks`.
 */
import type { ThanosMeta } from '@gauntlet/block';
import { formatGoDuration, formatLabels } from '@gauntlet/model';

/** Blocks that all overlap. */
export interface Overlap {
  /** The stream: `<resolution ms>@{labels}`. */
  readonly group: string;
  /** Time they have in common, ms, [min, max). */
  readonly min: number;
  readonly max: number;
  /** By start. */
  readonly blocks: readonly ThanosMeta[];
}

/** All overlaps, stream by stream. */
export function findOverlaps(metas: readonly ThanosMeta[]): Overlap[] {
  const groups = new Map<string, ThanosMeta[]>();
  for (const meta of metas) {
    const group = `${meta.thanos.resolutionMs}@${formatLabels(meta.thanos.labels)}`;
    const members = groups.get(group);
    if (members === undefined) groups.set(group, [meta]);
    else members.push(meta);
  }
  const overlaps: Overlap[] = [];
  for (const group of [...groups.keys()].sort()) {
    const members = groups.get(group)!.sort((a, b) => a.minTime - b.minTime || (a.ulid < b.ulid ? -1 : 1));
    for (const blocks of overlapsOf(members)) {
      overlaps.push({ group, min: Math.max(...blocks.map(({ minTime }) => minTime)), max: Math.min(...blocks.map(({ maxTime }) => maxTime)), blocks });
    }
  }
  return overlaps;
}

/** @param metas sorted by start */
function overlapsOf(metas: readonly ThanosMeta[]): ThanosMeta[][] {
  const overlaps: ThanosMeta[][] = [];
  let open: ThanosMeta[] = [];
  let isGrowing = false;
  for (const meta of metas) {
    const still = open.filter(({ maxTime }) => maxTime > meta.minTime);
    if (still.length < open.length) isGrowing = false;
    open = [...still, meta];
    if (still.length === 0) continue;
    if (isGrowing) overlaps.at(-1)!.push(meta);
    else overlaps.push([...still, meta]);
    isGrowing = true;
  }
  return overlaps;
}

/** A block in a log line, as upstream writes it. */
export function describeBlock({ ulid, minTime, maxTime }: ThanosMeta): string {
  return `<ulid: ${ulid}, mint: ${minTime}, maxt: ${maxTime}, range: ${formatSpan(minTime, maxTime)}>`;
}

/** An overlap in a log line, as upstream writes it. */
export function describeOverlap({ min, max, blocks }: Overlap): string {
  return `[mint: ${min}, maxt: ${max}, range: ${formatSpan(min, max)}, blocks: ${blocks.length}]: ${blocks.map(describeBlock).join(', ')}`;
}

function formatSpan(min: number, max: number): string {
  return formatGoDuration(Math.trunc((max - min) / 1000) * 1000);
}
