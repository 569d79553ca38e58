/** `tools bucket mark`: sets or removes marks of blocks. A block that is marked already keeps its mark, for its time counts. */
import { blockIdOf, markBlock, markerKey, MARKERS, type MarkerKind, unmarkBlock } from '@gauntlet/block';
import type { Bucket } from '@gauntlet/objstore';
import { boolFlag, enumFlag, type Flag, type FlagTable, objstoreFlag, stringFlag, stringsFlag } from '@gauntlet/service-kit';
import { withBucket, withTimeout } from './bucket-blocks.ts';
import { ToolsError } from './errors.ts';
import { defineTool, type Tool } from './tool.ts';

/** Time limit for all marks together, as upstream has it. */
const LIMIT_MS = 120_000;
const MARKER_FILES = [MARKERS.deletion.file, MARKERS['no-compact'].file, MARKERS['no-downsample'].file] as const;
type MarkerFile = (typeof MARKER_FILES)[number];

const markerFlag = enumFlag('marker', MARKER_FILES, { default: MARKERS.deletion.file, required: true, placeholder: 'MARKER', help: `Mark to set: ${MARKER_FILES.join(', ')}.` });

const flags = {
  objstoreConfig: objstoreFlag(true),
  ids: stringsFlag('id', { required: true, help: 'Id (ULID) of a block to be marked (repeated).' }),
  // Required, so the default that enums have is nothing to show.
  marker: { ...markerFlag, defaultText: undefined } as Flag<MarkerFile>,
  details: stringFlag('details', { help: 'Words for people, put into the mark. Required, unless the mark is removed.' }),
  remove: boolFlag('remove', { help: 'Removes the mark.' }),
} satisfies FlagTable;

const kindOf = (file: MarkerFile): MarkerKind => (Object.keys(MARKERS) as MarkerKind[]).find((kind) => MARKERS[kind].file === file)!;

async function hasObjects(bucket: Bucket, id: string, signal: AbortSignal): Promise<boolean> {
  for await (const name of bucket.iter(id, { signal })) {
    void name;
    return true;
  }
  return false;
}

/** See the head of this file. */
export const bucketMark: Tool = defineTool({
  words: ['bucket', 'mark'],
  help: 'Marks blocks for deletion, or against compaction or downsampling. A compactor that is working on the block may not notice.',
  flags,
  async run(values, allDeps) {
    const { ids, details, marker, remove } = values;
    const kind = kindOf(marker);
    for (const id of ids) if (blockIdOf(id) !== id) throw new ToolsError('ERR_TOOL_FLAGS', `--id: not a valid ULID: ${JSON.stringify(id)}`);
    if (!remove && details === '') throw new ToolsError('ERR_TOOL_FLAGS', 'required flag --details not provided');
    await withBucket(allDeps, values.objstoreConfig, async (bucket) => {
      const { log, clock, signal } = withTimeout(allDeps, LIMIT_MS, '');
      for (const id of ids) {
        if (remove) {
          if (await bucket.exists(markerKey(id, kind), { signal })) {
            await unmarkBlock(bucket, id, kind, signal);
            log.info('mark has been removed from the block', { block: id, mark: marker });
          } else log.warn('requested to remove a mark that is not there', { block: id, mark: marker });
          continue;
        }
        // A mark alone would look like the rest of a block that was deleted.
        if (!(await hasObjects(bucket, id, signal))) throw new ToolsError('ERR_NO_BLOCK', `mark block ${id}: there is no such block in bucket ${bucket.name}`);
        await markBlock({ bucket, log, clock }, id, kind, details, 'manual', signal);
      }
      log.info('marking done', { marker, ids: ids.join(',') });
    });
  },
});
