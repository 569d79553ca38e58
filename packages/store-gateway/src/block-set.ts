/**
 * The loaded blocks, by external labels and resolution, and which of them answer a request.
 *
 *   1h    [────────────)                    coarsest resolution ≤ the one asked for first;
 *   5m    [────────────────)                what it does not cover is filled from finer ones;
 *   raw   [──────────)[───)[───)            overlapping blocks all answer
 *
 * Source: Thanos pkg/store/bucket.go, bucketBlockSet.
 */
import { compareLabels, formatLabels, type Labels, type Matcher } from '@gauntlet/model';
import { BLOCK_ID_LABEL, type ThanosMeta } from '@gauntlet/block';
import { getLabel, withLabel } from '@gauntlet/model';
import type { TsdbInfo } from '@gauntlet/storeapi';
import { StoreGatewayError } from './errors.ts';

/** Resolutions of blocks, ms, coarsest first. */
export const RESOLUTIONS_MS = [3_600_000, 300_000, 0] as const;

/** A loaded block. */
export interface LoadedBlock {
  readonly id: string;
  readonly meta: ThanosMeta;
}

interface LabelGroup<B extends LoadedBlock> {
  readonly labels: Labels;
  /** Blocks by resolution (index of RESOLUTIONS_MS), each sorted by min time, then max time. */
  readonly blocks: B[][];
}

/** Blocks of a group that answer, with the matchers of the request. */
export interface SelectedBlocks<B extends LoadedBlock> {
  readonly labels: Labels;
  readonly blocks: readonly B[];
}

/** See the head of this file. */
export class BlockSet<B extends LoadedBlock> {
  readonly #groups: Map<string, LabelGroup<B>> = new Map();
  readonly #byId: Map<string, B> = new Map();

  /** Number of blocks. */
  get size(): number {
    return this.#byId.size;
  }

  get(id: string): B | undefined {
    return this.#byId.get(id);
  }

  /** All blocks, in no order. */
  values(): Iterable<B> {
    return this.#byId.values();
  }

  /** @throws StoreGatewayError ERR_BLOCK_UNSUPPORTED for a resolution nobody makes */
  add(block: B): void {
    const { labels, resolutionMs } = block.meta.thanos;
    const row = (RESOLUTIONS_MS as readonly number[]).indexOf(resolutionMs);
    if (row < 0) throw new StoreGatewayError('ERR_BLOCK_UNSUPPORTED', `add block ${block.id}: unsupported downsampling resolution ${resolutionMs}`);
    const key = JSON.stringify(labels);
    let group = this.#groups.get(key);
    if (group === undefined) this.#groups.set(key, (group = { labels, blocks: [[], [], []] }));
    group.blocks[row]!.push(block);
    group.blocks[row]!.sort((a, b) => a.meta.minTime - b.meta.minTime || a.meta.maxTime - b.meta.maxTime);
    this.#byId.set(block.id, block);
  }

  /** Takes a block out; does nothing for an unknown one. */
  remove(id: string): void {
    const block = this.#byId.get(id);
    if (block === undefined) return;
    this.#byId.delete(id);
    const key = JSON.stringify(block.meta.thanos.labels);
    const group = this.#groups.get(key)!;
    for (const row of group.blocks) {
      const at = row.indexOf(block);
      if (at >= 0) row.splice(at, 1);
    }
    if (group.blocks.every((row) => row.length === 0)) this.#groups.delete(key);
  }

  /**
   * Blocks that answer a Series request.
   * @param mint ms, inclusive; `maxt` too
   * @param maxResolutionMs coarsest resolution wanted
   * @param matchers of the request; those on external labels choose groups
   * @param blockMatchers of its hints, on external labels and `__block_id`
   */
  select(mint: number, maxt: number, maxResolutionMs: number, matchers: readonly Matcher[], blockMatchers: readonly Matcher[]): B[] {
    const chosen: B[] = [];
    for (const { labels, blocks } of this.#groups.values()) {
      if (acceptsLabels(labels, matchers)) cover(blocks, mint, maxt, Math.max(0, RESOLUTIONS_MS.findIndex((resolution) => resolution <= maxResolutionMs)), chosen);
    }
    return [...new Set(chosen)].filter((block) => matchesBlock(block, blockMatchers));
  }

  /** Blocks of any resolution that a label call looks at. */
  selectAll(mint: number, maxt: number, matchers: readonly Matcher[], blockMatchers: readonly Matcher[]): B[] {
    const chosen: B[] = [];
    for (const { labels, blocks } of this.#groups.values()) {
      if (!acceptsLabels(labels, matchers)) continue;
      for (const block of blocks.flat()) if (block.meta.minTime <= maxt && mint < block.meta.maxTime && matchesBlock(block, blockMatchers)) chosen.push(block);
    }
    return chosen;
  }

  /** Distinct external labels, in the order of their text. */
  labelSets(): Labels[] {
    return [...this.#groups.values()].map((group) => group.labels).toSorted(compareLabels);
  }

  /** Time range of all blocks, ms; `undefined` when there is none. */
  timeRange(): { readonly mint: number; readonly maxt: number } | undefined {
    if (this.size === 0) return undefined;
    let mint = Number.POSITIVE_INFINITY;
    let maxt = Number.NEGATIVE_INFINITY;
    for (const { meta } of this.#byId.values()) {
      mint = Math.min(mint, meta.minTime);
      maxt = Math.max(maxt, meta.maxTime);
    }
    return { mint, maxt };
  }

  /** External labels with their time ranges; ranges that touch or overlap are one. */
  tsdbInfos(): TsdbInfo[] {
    const infos: TsdbInfo[] = [];
    for (const { labels, blocks } of [...this.#groups.values()].toSorted((a, b) => compareLabels(a.labels, b.labels))) {
      let open: { labels: Labels; mint: number; maxt: number } | undefined;
      for (const { meta } of blocks.flat().toSorted((a, b) => a.meta.minTime - b.meta.minTime)) {
        if (open !== undefined && meta.minTime <= open.maxt) open.maxt = Math.max(open.maxt, meta.maxTime);
        else infos.push((open = { labels, mint: meta.minTime, maxt: meta.maxTime }));
      }
    }
    return infos;
  }
}

/** Fills [mint, maxt] from the resolution in row `row`, gaps from finer ones. */
function cover<B extends LoadedBlock>(rows: readonly (readonly B[])[], mint: number, maxt: number, row: number, out: B[]): void {
  if (mint > maxt) return;
  const isFinest = row + 1 >= rows.length;
  let start = mint;
  for (const block of rows[row]!) {
    // Blocks are half-open: [minTime, maxTime).
    if (block.meta.maxTime <= mint) continue;
    if (block.meta.minTime > maxt) break;
    if (!isFinest) cover(rows, start, block.meta.minTime - 1, row + 1, out);
    out.push(block);
    start = Math.max(start, block.meta.maxTime);
  }
  if (!isFinest) cover(rows, start, maxt, row + 1, out);
}

function acceptsLabels(labels: Labels, matchers: readonly Matcher[]): boolean {
  return matchers.every((matcher) => {
    const value = getLabel(labels, matcher.name);
    return value === '' || matcher.matches(value);
  });
}

function matchesBlock(block: LoadedBlock, matchers: readonly Matcher[]): boolean {
  if (matchers.length === 0) return true;
  const labels = withLabel(block.meta.thanos.labels, BLOCK_ID_LABEL, block.id);
  return matchers.every((matcher) => matcher.matches(getLabel(labels, matcher.name)));
}

/** Labels of a block for logs. */
export function describeBlock({ id, meta }: LoadedBlock): Readonly<Record<string, unknown>> {
  return { block: id, labels: formatLabels(meta.thanos.labels), mint: meta.minTime, maxt: meta.maxTime, resolutionMs: meta.thanos.resolutionMs };
}
