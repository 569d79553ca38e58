/**
 * `tools bucket verify`: looks for issues in all blocks of a bucket that are not marked for deletion, and repairs them when told to.
 * Ends with 0 whatever it finds, as upstream does, unless `--fail-on-issues`.
 */
import { blockIdOf, createDeletionMarkFilter } from '@gauntlet/block';
import type { Bucket } from '@gauntlet/objstore';
import { boolFlag, durationFlag, enumsFlag, type FlagTable, objstoreFlag, stringsFlag } from '@gauntlet/service-kit';
import { createBlockFinder, withBucket } from './bucket-blocks.ts';
import { ToolsError } from './errors.ts';
import { defineTool, type Tool, type ToolDeps } from './tool.ts';
import { chunkData } from './verify/chunk-data.ts';
import { duplicatedCompaction } from './verify/duplicated-compaction.ts';
import { indexKnownIssues } from './verify/index-known-issues.ts';
import type { Issue } from './verify/issue.ts';
import { overlappedBlocks } from './verify/overlapped-blocks.ts';

/** All issues, in the order in which they are looked for. */
export const ISSUES: readonly Issue[] = [overlappedBlocks, indexKnownIssues, duplicatedCompaction, chunkData];
const ISSUE_IDS = ['overlapped_blocks', 'index_known_issues', 'duplicated_compaction', 'chunk_data'] as const;
type IssueId = (typeof ISSUE_IDS)[number];
const DEFAULT_ISSUES: readonly IssueId[] = ['index_known_issues', 'overlapped_blocks'];

const describeIssues = (canRepair: boolean): string => ISSUES.filter((issue) => issue.canRepair === canRepair).map(({ id, summary }) => `${id} (${summary})`).join(', ');

const flags = {
  objstoreConfig: objstoreFlag(true),
  objstoreBackupConfig: objstoreFlag(false, '-backup'),
  repair: boolFlag('repair', { short: 'r', help: 'Repairs what can be repaired. Needs a backup bucket, where blocks go before they are removed. No compactor may run on the bucket meanwhile.' }),
  issues: enumsFlag('issues', ISSUE_IDS, { short: 'i', default: DEFAULT_ISSUES, help: `Issue to look for (repeated). Looked for only: ${describeIssues(false)}. Looked for and repaired: ${describeIssues(true)}. chunk_data downloads every block whole.` }),
  ids: stringsFlag('id', { help: 'Only these blocks (repeated); for issues of single blocks.' }),
  deleteDelayMs: durationFlag('delete-delay', { default: '0s', help: 'With 0, blocks that were repaired or are superfluous are deleted from the bucket at once, which a store gateway that has them loaded can notice; else they are marked, and the compactor deletes them.' }),
  failOnIssues: boolFlag('fail-on-issues', { help: 'Ends with exit code 1 when an issue was found. Without it only a failure to look does that, as in Thanos.' }),
} satisfies FlagTable;

/**
 * The issues to look for. What was asked for by name and cannot be is refused; of the default ones, what cannot be is left out.
 * @throws ToolsError ERR_TOOL_FLAGS
 */
export function chooseIssues(names: readonly IssueId[], isRepair: boolean, hasIds: boolean): readonly Issue[] {
  // Not given: the parser hands out the very default.
  const isDefault = names === DEFAULT_ISSUES;
  return ISSUES.filter(({ id }) => names.includes(id as IssueId)).filter((issue) => {
    const why = isRepair && !issue.canRepair ? 'cannot be repaired' : hasIds && !issue.isPerBlock ? 'is about several blocks, so --id cannot be used' : undefined;
    if (why === undefined) return true;
    if (isDefault) return false;
    throw new ToolsError('ERR_TOOL_FLAGS', `--issues=${issue.id}: ${why}`);
  });
}

/** See the head of this file. */
export const bucketVerify: Tool = defineTool({
  words: ['bucket', 'verify'],
  help: 'Verifies the blocks of a bucket against known issues. Depending on the issue, blocks are downloaded, one at a time.',
  flags,
  async run(values, deps) {
    for (const id of values.ids) if (blockIdOf(id) !== id) throw new ToolsError('ERR_TOOL_FLAGS', `--id: not a valid ULID: ${JSON.stringify(id)}`);
    const issues = chooseIssues(values.issues, values.repair, values.ids.length > 0);
    if (values.repair && !values.objstoreBackupConfig.isSet) throw new ToolsError('ERR_TOOL_FLAGS', 'repair is specified, so backup client is required: set --objstore-backup.config-file');
    const found = await withBucket(deps, values.objstoreConfig, async (bucket) => {
      if (!values.objstoreBackupConfig.isSet) return await verifyBucket(deps, bucket, undefined, issues, values);
      // Without metrics: those of the bucket have the same names.
      const backup = await deps.openBucket(values.objstoreBackupConfig);
      try {
        return await verifyBucket(deps, bucket, backup, issues, values);
      } finally {
        await backup.close();
      }
    });
    if (found > 0 && values.failOnIssues) throw new ToolsError('ERR_ISSUES_FOUND', `verify: ${found} issues found`);
  },
});

/** @returns how many issues were found */
async function verifyBucket(deps: ToolDeps, bucket: Bucket, backup: Bucket | undefined, issues: readonly Issue[], values: { readonly repair: boolean; readonly ids: readonly string[]; readonly deleteDelayMs: number }): Promise<number> {
  const verifiers = issues.map(({ id }) => id).join(',');
  const log = deps.log.child({ verifiers });
  const { clock, random, signal, tmpDir } = deps;
  if (values.repair) log.warn('GLOBAL COMPACTOR SHOULD __NOT__ BE RUNNING ON THE SAME BUCKET');
  log.info('starting verify task', { 'with-repair': values.repair });
  const finder = createBlockFinder(bucket, { ...deps, log }, [createDeletionMarkFilter({ bucket, log, clock }, 0)]);
  const { metas, partial } = await finder.find();
  for (const [id, error] of partial) log.warn('block is not looked at: its meta.json is missing or damaged', { id, err: error.message });
  const missing = values.ids.filter((id) => !metas.some(({ ulid }) => ulid === id));
  if (missing.length > 0) throw new ToolsError('ERR_NO_BLOCK', `verify: no such block in bucket ${bucket.name}, or marked for deletion: ${missing.join(', ')}`);
  let found = 0;
  for (const issue of issues) {
    const issueLog = log.child({ verifier: issue.id });
    issueLog.info('started verifying issue', { 'with-repair': values.repair });
    found += await issue.verify({
      bucket,
      backup,
      finder,
      log: issueLog,
      ids: values.ids.length === 0 ? undefined : new Set(values.ids),
      isRepair: values.repair,
      deleteDelayMs: values.deleteDelayMs,
      clock,
      random,
      signal,
      tmpDir,
    });
  }
  log.info('verify task completed', { issues: found });
  return found;
}
