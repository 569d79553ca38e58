/** Temporary folders for blocks, and moving blocks away from a bucket: backup first, then deletion. */
import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { deleteBlock, downloadBlock, markBlock, type ThanosMeta, uploadBlock } from '@gauntlet/block';
import { ToolsError } from '../errors.ts';
import type { VerifyContext } from './issue.ts';

/** Gives a folder that is gone afterwards, whatever happens. */
export async function withFolder<T>(tmpDir: string, name: string, use: (dir: string) => Promise<T>): Promise<T> {
  const dir = await mkdtemp(join(tmpDir, `gauntlet-${name}-`));
  try {
    return await use(dir);
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

/**
 * Copies a downloaded block into the backup bucket. One that is there already is left alone: blocks do not change, so something else is wrong.
 * @throws ToolsError ERR_REPAIR; BlockError, ObjstoreError
 */
export async function backUpBlock(context: VerifyContext, dir: string, meta: ThanosMeta): Promise<void> {
  const { backup, log, clock, signal } = context;
  const id = meta.ulid;
  if (backup === undefined) throw new ToolsError('ERR_REPAIR', `back up block ${id}: there is no backup bucket`);
  for await (const name of backup.iter(id, { signal })) {
    void name;
    throw new ToolsError('ERR_REPAIR', `back up block ${id}: it seems to be in backup bucket ${backup.name}; remove it there if you are sure that is safe`);
  }
  log.info('uploading block to backup bucket', { id });
  await uploadBlock({ bucket: backup, log, clock }, dir, meta, { signal });
}

/** Deletes a block, or marks it where there is a delete delay. */
export async function removeBlock(context: VerifyContext, id: string): Promise<void> {
  const { bucket, log, clock, signal, deleteDelayMs } = context;
  if (deleteDelayMs === 0) {
    log.info('deleting block', { id });
    await deleteBlock({ bucket, log }, id, signal);
  } else {
    log.info('marking block as deleted', { id });
    await markBlock({ bucket, log, clock }, id, 'deletion', 'manual verify-repair', '', signal);
  }
}

/** Moves a block to the backup bucket. */
export async function backUpAndRemove(context: VerifyContext, id: string): Promise<void> {
  await withFolder(context.tmpDir, `safe-delete-${id}`, async (folder) => {
    const dir = join(folder, id);
    const meta = await downloadBlock(context.bucket, id, dir, { signal: context.signal });
    await backUpBlock(context, dir, meta);
  });
  await removeBlock(context, id);
}
