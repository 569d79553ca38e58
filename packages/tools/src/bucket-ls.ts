/** `tools bucket ls`: the blocks of a bucket, one by one. Sorted by id, where Thanos prints them in no order. */
import { createDeletionMarkFilter, createLabelShardFilter, createTimePartitionFilter, formatThanosMeta, type MetaFilter, parseSelector, type ThanosMeta } from '@gauntlet/block';
import { formatGoDuration } from '@gauntlet/model';
import { boolFlag, durationFlag, type FlagTable, objstoreFlag, selectorRelabelFlag, stringFlag, timeOrDurationFlag } from '@gauntlet/service-kit';
import { createBlockFinder, withBucket, withTimeout } from './bucket-blocks.ts';
import { formatSeconds } from './go-text.ts';
import { compileBlockTemplate } from './ls-template.ts';
import { defineTool, type Tool } from './tool.ts';

const RANGE_HELP = 'RFC 3339, or a duration relative to now such as -1d or 2h45m.';

const flags = {
  objstoreConfig: objstoreFlag(true),
  selectorRelabelConfig: selectorRelabelFlag('blocks'),
  output: stringFlag('output', { short: 'o', default: '', help: 'What to print of each block: nothing for its id, json, wide, or a template such as {{.ULID}} {{.Thanos.Labels}}.' }),
  excludeDelete: boolFlag('exclude-delete', { help: 'Leaves out blocks that are marked for deletion.' }),
  minTime: timeOrDurationFlag('min-time', { default: '0000-01-01T00:00:00Z', help: `Start of the time range: blocks that end before it are left out. ${RANGE_HELP}` }),
  maxTime: timeOrDurationFlag('max-time', { default: '9999-12-31T23:59:59Z', help: `End of the time range: blocks that begin after it are left out. ${RANGE_HELP}` }),
  timeoutMs: durationFlag('timeout', { default: '5m', help: 'Time limit for reading the metas.' }),
} satisfies FlagTable;

/** The line, or lines, of a block in a format. @throws ToolsError ERR_TOOL_TEMPLATE */
export function blockPrinter(output: string): (meta: ThanosMeta) => string {
  if (output === '') return ({ ulid }) => `${ulid}\n`;
  if (output === 'json') return (meta) => new TextDecoder().decode(formatThanosMeta(meta));
  if (output === 'wide') return wideLine;
  const print = compileBlockTemplate(output);
  return (meta) => `${print(meta)}\n`;
}

function wideLine({ ulid, minTime, maxTime, compaction, thanos }: ThanosMeta): string {
  const lengthMs = (Math.trunc(maxTime / 1000) - Math.trunc(minTime / 1000)) * 1000;
  return `${ulid} -- ${formatSeconds(minTime)} - ${formatSeconds(maxTime)} Diff: ${formatGoDuration(lengthMs)}, Compaction: ${compaction.level}, Downsample: ${thanos.resolutionMs}, Source: ${thanos.source}\n`;
}

/** See the head of this file. */
export const bucketLs: Tool = defineTool({
  words: ['bucket', 'ls'],
  help: 'Lists the blocks of a bucket.',
  flags,
  async run(values, allDeps) {
    const { log, clock, print } = allDeps;
    const printBlock = blockPrinter(values.output);
    const selector = parseSelector(values.selectorRelabelConfig.content(), values.selectorRelabelConfig.source);
    if (values.timeoutMs < 60_000) log.warn('timeouts below 1m can fail for the size of the bucket alone');
    await withBucket(allDeps, values.objstoreConfig, async (bucket) => {
      const deps = withTimeout(allDeps, values.timeoutMs);
      const filters: MetaFilter[] = [
        createLabelShardFilter(selector),
        createTimePartitionFilter(() => ({ mint: values.minTime.at(clock()), maxt: values.maxTime.at(clock()) })),
      ];
      if (values.excludeDelete) filters.push(createDeletionMarkFilter({ bucket, log, clock }, 0));
      const { metas } = await createBlockFinder(bucket, deps, filters).find();
      for (const meta of metas) print(printBlock(meta));
      log.info('ls done', { objects: metas.length });
    });
  },
});
