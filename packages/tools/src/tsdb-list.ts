/** `tools tsdb list`: the blocks of a folder, as `promtool tsdb list` prints them. */
import { createNodeFileSystem } from '@gauntlet/service-kit';
import { blockTable, findBlockFolders, refuseUnreadable } from './tsdb-blocks.ts';
import type { TsdbJobDeps } from './tsdb-job.ts';

/** What to list. */
export interface ListJob {
  readonly kind: 'list';
  readonly path: string;
  /** Times and sizes for people. */
  readonly isReadable: boolean;
}

/** Prints the table; blocks that cannot be read are named and make it fail. @throws ToolsError ERR_TSDB_FOLDER */
export function listBlocks({ path, isReadable }: ListJob, { print, log }: TsdbJobDeps): void {
  const found = findBlockFolders(createNodeFileSystem(), path);
  print(blockTable(found.blocks, true, isReadable));
  refuseUnreadable(found, log);
}
