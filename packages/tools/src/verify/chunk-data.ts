/**
 * Issue chunk_data, which Thanos has not: every chunk of every block is read, its CRC checked, float chunks decoded, counts compared.
 * Blocks are downloaded one at a time, so it needs the disk space of the largest, and costs the transfer of all.
 */
import { join } from 'node:path';
import { BlockError, type BlockDataReport, downloadBlock, type ThanosMeta, verifyBlockData } from '@gauntlet/block';
import { createKernels, type Kernels } from '@gauntlet/kernels';
import { createNodeFileSystem } from '@gauntlet/service-kit';
import { isTsdbError, openBlock } from '@gauntlet/tsdb';
import { withFolder } from './block-folder.ts';
import type { Issue, VerifyContext } from './issue.ts';

/** What is wrong with a block as a whole, or the report of its chunks. */
async function readBlock(context: VerifyContext, { ulid }: ThanosMeta, kernels: Kernels): Promise<BlockDataReport | string> {
  const { bucket, signal } = context;
  return await withFolder(context.tmpDir, `chunk-data-${ulid}`, async (folder) => {
    const dir = join(folder, ulid);
    try {
      await downloadBlock(bucket, ulid, dir, { signal });
      const block = openBlock(createNodeFileSystem(), dir, { outsideChunks: 'allow' });
      try {
        return await verifyBlockData(block, kernels, { signal });
      } finally {
        block.close();
      }
    } catch (error) {
      if (error instanceof BlockError || isTsdbError(error)) return error.message;
      throw error;
    }
  });
}

/** See the head of this file. */
export const chunkData: Issue = {
  id: 'chunk_data',
  summary: 'chunks are damaged or not what index and meta.json say',
  canRepair: false,
  isPerBlock: true,
  async verify(context) {
    const { finder, log, ids } = context;
    const kernels = createKernels();
    let found = 0;
    for (const meta of (await finder.find()).metas) {
      if (ids !== undefined && !ids.has(meta.ulid)) continue;
      const report = await readBlock(context, meta, kernels);
      if (typeof report === 'string') {
        found++;
        log.warn('detected issue', { id: meta.ulid, err: report });
        continue;
      }
      log.debug('read all chunks', { id: meta.ulid, series: report.series, chunks: report.chunks, samples: report.samples, bytes: report.bytes });
      if (report.findingCount === 0) continue;
      found++;
      for (const finding of report.findings) log.warn('detected issue', { id: meta.ulid, err: finding });
      if (report.findingCount > report.findings.length) log.warn('detected more issues of this kind', { id: meta.ulid, more: report.findingCount - report.findings.length });
    }
    return found;
  },
};
