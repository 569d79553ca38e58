/**
 * Downloading and deleting whole blocks. A download can be repeated: files whose SHA-256 is the one in meta.json stay, meta.json is
 * always fetched. A deletion takes meta.json first and the deletion mark last, so that at any moment readers see either the block
 * or a marked rest.
 */
import { mkdir, stat } from 'node:fs/promises';
import { join } from 'node:path';

import { isNotFound } from '@gauntlet/objstore';
import type { Bucket } from '@gauntlet/objstore';
import type { Logger } from '@gauntlet/service-kit';

import { CHUNKS_DIR, META_FILE } from './block-id.ts';
import { BlockError } from './errors.ts';
import { forEachLimited, hashFile, writeFileAtomically } from './local-file.ts';
import { markerKey } from './markers.ts';
import { parseThanosMeta } from './thanos-meta.ts';
import type { ThanosMeta } from './thanos-meta.ts';

/** How to download. */
export interface DownloadBlockOptions {
  /** Files under way at once; default 4. */
  readonly concurrency?: number;
  readonly signal?: AbortSignal;
}

/**
 * Reads meta.json of a block in a bucket.
 * @throws BlockError ERR_META_NOT_FOUND, ERR_META_CORRUPT, ERR_META_VERSION; ObjstoreError
 */
export async function readBucketMeta(bucket: Bucket, id: string, signal?: AbortSignal): Promise<ThanosMeta> {
  let bytes: Uint8Array;
  try {
    bytes = await bucket.get(`${id}/${META_FILE}`, { isExpected: isNotFound, ...(signal === undefined ? {} : { signal }) });
  } catch (error) {
    if (isNotFound(error)) throw new BlockError('ERR_META_NOT_FOUND', `read meta.json of block ${id}: not in bucket ${bucket.name}`, error);
    throw error;
  }
  // The directory names the block, whatever a copied meta.json says.
  return { ...parseThanosMeta(bytes, id), ulid: id };
}

/**
 * Downloads a block into `directory` and checks sizes and hashes that meta.json states.
 * @throws BlockError as {@link readBucketMeta}, ERR_BLOCK_MISMATCH; ObjstoreError
 */
export async function downloadBlock(bucket: Bucket, id: string, directory: string, options: DownloadBlockOptions = {}): Promise<ThanosMeta> {
  const withSignal = options.signal === undefined ? {} : { signal: options.signal };
  const meta = await readBucketMeta(bucket, id, options.signal);
  const expected = new Map(meta.thanos.files.map((f) => [f.relPath, f]));
  await mkdir(join(directory, CHUNKS_DIR), { recursive: true });

  async function* names(): AsyncGenerator<string> {
    for await (const name of bucket.iter(id, { recursive: true, ...withSignal })) if (name !== `${id}/${META_FILE}`) yield name.slice(id.length + 1);
  }
  const found = new Set<string>();
  await forEachLimited(names(), options.concurrency ?? 4, async (relPath) => {
    found.add(relPath);
    const path = join(directory, relPath);
    const file = expected.get(relPath);
    if (file?.hash !== undefined && (await hashFile(path, 'sha256').catch(() => '')) === file.hash.value) return;
    await writeFileAtomically(path, bucket.stream(`${id}/${relPath}`, withSignal));
    const { size } = await stat(path);
    if (file?.sizeBytes !== undefined && size !== file.sizeBytes) throw new BlockError('ERR_BLOCK_MISMATCH', `download block ${id}: ${relPath} has ${size} bytes, meta.json says ${file.sizeBytes}`);
    if (file?.hash !== undefined) {
      const got = await hashFile(path, 'sha256');
      if (got !== file.hash.value) throw new BlockError('ERR_BLOCK_MISMATCH', `download block ${id}: ${relPath} has SHA-256 ${got}, meta.json says ${file.hash.value}`);
    }
  });
  for (const relPath of expected.keys()) {
    if (relPath !== META_FILE && !found.has(relPath)) throw new BlockError('ERR_BLOCK_MISMATCH', `download block ${id}: ${relPath} of meta.json is not in bucket ${bucket.name}`);
  }
  // Last, as in a bucket: a directory with meta.json is complete.
  await writeFileAtomically(join(directory, META_FILE), [await bucket.get(`${id}/${META_FILE}`, withSignal)]);
  return meta;
}

/** Deletes a block; can be repeated after any failure. */
export async function deleteBlock(deps: { readonly bucket: Bucket; readonly log: Logger }, id: string, signal?: AbortSignal): Promise<void> {
  const { bucket, log } = deps;
  const withSignal = signal === undefined ? {} : { signal };
  const meta = `${id}/${META_FILE}`;
  const mark = markerKey(id, 'deletion');
  await bucket.delete(meta, withSignal);
  const names: string[] = [];
  for await (const name of bucket.iter(id, { recursive: true, ...withSignal })) if (name !== meta && name !== mark) names.push(name);
  for (const name of names) {
    await bucket.delete(name, withSignal);
    log.debug('deleted file', { file: name, bucket: bucket.name });
  }
  await bucket.delete(mark, withSignal);
}
