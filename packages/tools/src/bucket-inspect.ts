/** `tools bucket inspect`: the blocks of a bucket as a table, sorted by columns. */
import type { ThanosMeta } from '@gauntlet/block';
import { formatGoDuration, getLabel, hasLabel, type Labels, parseGoDuration } from '@gauntlet/model';
import { durationFlag, enumFlag, enumsFlag, type FlagTable, labelsFlag, objstoreFlag } from '@gauntlet/service-kit';
import { createBlockFinder, withBucket, withTimeout } from './bucket-blocks.ts';
import { formatSeconds, groupThousands } from './go-text.ts';
import { formatTable, type Table, TABLE_FORMATS } from './table.ts';
import { defineTool, type Tool } from './tool.ts';

/** Columns, and what `--sort-by` takes. */
export const INSPECT_COLUMNS = ['ULID', 'FROM', 'UNTIL', 'RANGE', 'UNTIL-DOWN', '#SERIES', '#SAMPLES', '#CHUNKS', 'COMP-LEVEL', 'COMP-FAILED', 'LABELS', 'RESOLUTION', 'SOURCE'] as const;
/** One of {@link INSPECT_COLUMNS}. */
export type InspectColumn = (typeof INSPECT_COLUMNS)[number];

/** Range a block must have before it is downsampled, ms, by its resolution, ms. */
const DOWNSAMPLE_RANGE_MS: ReadonlyMap<number, number> = new Map([
  [0, 40 * 3_600_000],
  [300_000, 10 * 86_400_000],
]);

const flags = {
  objstoreConfig: objstoreFlag(true),
  selector: labelsFlag('selector', { short: 'l', help: 'Only blocks with this external label; given several times, with all of them.' }),
  sortBy: enumsFlag('sort-by', INSPECT_COLUMNS, { default: ['FROM', 'UNTIL'], help: `Column to sort by; given several times, the next one orders rows the ones before leave equal. One of ${INSPECT_COLUMNS.join(', ')}.` }),
  timeoutMs: durationFlag('timeout', { default: '5m', help: 'Time limit for reading the metas.' }),
  output: enumFlag('output', TABLE_FORMATS, { default: 'table', help: 'Format of the output: table, csv or tsv.' }),
} satisfies FlagTable;

function rowOf({ ulid, minTime, maxTime, stats, compaction, thanos }: ThanosMeta): readonly string[] {
  const wantedMs = DOWNSAMPLE_RANGE_MS.get(thanos.resolutionMs);
  const labels: string[] = [];
  for (let i = 0; i < thanos.labels.length; i += 2) labels.push(`${thanos.labels[i]}=${thanos.labels[i + 1]}`);
  return [
    ulid,
    formatSeconds(minTime),
    formatSeconds(maxTime),
    formatGoDuration(maxTime - minTime),
    wantedMs === undefined ? '-' : formatGoDuration(wantedMs - (maxTime - minTime)),
    groupThousands(stats.numSeries),
    groupThousands(stats.numSamples),
    groupThousands(stats.numChunks),
    groupThousands(compaction.level),
    String(compaction.failed ?? false),
    labels.join(','),
    formatGoDuration(thanos.resolutionMs),
    thanos.source,
  ];
}

/** A cell as what it can be compared by: first a time, then a duration, then a number, else text. Both cells must be it. */
const READERS: readonly ((cell: string) => number)[] = [
  (cell) => (/^-?\d{4,}-\d\d-\d\dT/.test(cell) ? Date.parse(cell) : Number.NaN),
  (cell) => {
    try {
      return parseGoDuration(cell);
    } catch {
      return Number.NaN;
    }
  },
  (cell) => (/^[\d,]*\d[\d,]*$/.test(cell) ? Number(cell.replaceAll(',', '')) : Number.NaN),
];

/** Order of two cells. @returns negative, zero or positive */
export function compareCells(a: string, b: string): number {
  for (const read of READERS) {
    const left = read(a);
    const right = read(b);
    if (!Number.isNaN(left) && !Number.isNaN(right)) return left - right;
  }
  return a === b ? 0 : Buffer.compare(Buffer.from(a), Buffer.from(b));
}

/**
 * The table of some blocks.
 * @param selector labels a block must have, with these values
 * @param sortBy columns; rows they leave equal are in the order of their ids
 */
export function inspectTable(metas: readonly ThanosMeta[], selector: readonly (readonly [string, string])[], sortBy: readonly InspectColumn[]): Table {
  const has = (labels: Labels): boolean => selector.every(([name, value]) => hasLabel(labels, name) && getLabel(labels, name) === value);
  const columns = [...sortBy.map((column) => INSPECT_COLUMNS.indexOf(column)), 0];
  const rows = metas.filter(({ thanos }) => has(thanos.labels)).map(rowOf);
  rows.sort((a, b) => {
    for (const column of columns) {
      const order = compareCells(a[column]!, b[column]!);
      if (order !== 0) return order;
    }
    return 0;
  });
  return { header: INSPECT_COLUMNS, rows };
}

/** See the head of this file. */
export const bucketInspect: Tool = defineTool({
  words: ['bucket', 'inspect'],
  help: 'Shows the blocks of a bucket in a table.',
  flags,
  async run(values, deps) {
    await withBucket(deps, values.objstoreConfig, async (bucket) => {
      const { metas } = await createBlockFinder(bucket, withTimeout(deps, values.timeoutMs), []).find();
      deps.print(formatTable(inspectTable(metas, values.selector, values.sortBy), values.output));
    });
  },
});
