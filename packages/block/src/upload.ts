/**
 * Uploading a block, so that no reader ever takes a part for the whole:
 *
 *   1 look at the local files (index and segments complete?)    nothing is sent of a damaged block
 *   2 chunks/*, then index                                      objects already there with the same bytes are not sent again
 *   3 list the block in the bucket, compare names and sizes
 *   4 meta.json, with files and upload_time                     from here on the block exists
 *
 * Killed or failed at any point, it leaves a directory without meta.json, which readers ignore, and can simply be run again.
 */
import { open, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';

import { isPreconditionFailed, ObjstoreError } from '@gauntlet/objstore';
import type { Bucket, BucketEntry } from '@gauntlet/objstore';
import { CHUNKS_MAGIC, INDEX_MAGIC, INDEX_TOC_BYTES, be32, parseIndexToc } from '@gauntlet/tsdb';
import { errorText } from '@gauntlet/service-kit';
import type { Logger } from '@gauntlet/service-kit';

import { CHUNKS_DIR, INDEX_FILE, META_FILE } from './block-id.ts';
import { BlockError } from './errors.ts';
import { forEachLimited, hashFile } from './local-file.ts';
import { formatThanosMeta } from './thanos-meta.ts';
import type { BlockFile, ThanosMeta } from './thanos-meta.ts';

/** What uploading needs. */
export interface UploadDeps {
  readonly bucket: Bucket;
  readonly log: Logger;
  /** Milliseconds since 1970, for upload_time. */
  readonly clock: () => number;
}

/** How to upload. */
export interface UploadBlockOptions {
  /** Hashes to note in meta.json (`--hash-func`); default none. */
  readonly hashFunc?: 'SHA256' | '';
  /** Segments under way at once; default 1. */
  readonly concurrency?: number;
  /** Only if the block is not there: of several writers of one name exactly one puts meta.json in its place, the others get ERR_PRECONDITION_FAILED. Default: it is replaced. */
  readonly isNew?: boolean;
  readonly signal?: AbortSignal;
}

/** Names of the chunk segments of a local block, in order. */
export async function listSegments(directory: string): Promise<string[]> {
  return (await readdir(join(directory, CHUNKS_DIR))).sort();
}

async function readEnds(path: string, headBytes: number, tailBytes: number): Promise<{ size: number; head: Uint8Array; tail: Uint8Array }> {
  const handle = await open(path, 'r');
  try {
    const { size } = await handle.stat();
    const head = new Uint8Array(Math.min(headBytes, size));
    const tail = new Uint8Array(Math.min(tailBytes, size));
    await handle.read(head, 0, head.length, 0);
    await handle.read(tail, 0, tail.length, size - tail.length);
    return { size, head, tail };
  } finally {
    await handle.close();
  }
}

/**
 * Checks what can be checked without reading everything: the index has its header and an intact table of contents, each segment its header.
 * @throws BlockError ERR_BLOCK_LOCAL
 */
export async function checkLocalBlock(directory: string, id: string): Promise<void> {
  const refuse = (what: string, cause?: unknown): never => {
    throw new BlockError('ERR_BLOCK_LOCAL', `upload block ${id}: ${what}`, cause);
  };
  try {
    const index = await readEnds(join(directory, INDEX_FILE), 5, INDEX_TOC_BYTES);
    if (index.head.length < 5 || be32(index.head, 0) !== INDEX_MAGIC) refuse(`index of ${index.size} bytes does not begin with the magic of an index`);
    parseIndexToc(index.tail, index.size, id);
    for (const name of await listSegments(directory)) {
      const segment = await readEnds(join(directory, CHUNKS_DIR, name), 8, 0);
      if (segment.head.length < 8 || be32(segment.head, 0) !== CHUNKS_MAGIC) refuse(`${CHUNKS_DIR}/${name} of ${segment.size} bytes does not begin with the magic of a chunk segment`);
    }
  } catch (error) {
    if (error instanceof BlockError) throw error;
    refuse(errorText(error), error);
  }
}

/** The `files` of a local block: segments, index and meta.json, sorted by path. */
export async function gatherFiles(directory: string, hashFunc: 'SHA256' | '' = ''): Promise<BlockFile[]> {
  const describe = async (relPath: string): Promise<BlockFile> => {
    const path = join(directory, relPath);
    const hash = hashFunc === '' ? {} : { hash: { func: hashFunc, value: await hashFile(path, 'sha256') } };
    return { relPath, sizeBytes: (await stat(path)).size, ...hash };
  };
  const files: BlockFile[] = [];
  for (const name of await listSegments(directory)) files.push(await describe(`${CHUNKS_DIR}/${name}`));
  files.push(await describe(INDEX_FILE), { relPath: META_FILE });
  return files;
}

async function listBlock(bucket: Bucket, id: string, signal: AbortSignal | undefined): Promise<Map<string, BucketEntry>> {
  const entries = new Map<string, BucketEntry>();
  for await (const entry of bucket.iterEntries(id, { recursive: true, ...(signal === undefined ? {} : { signal }) })) entries.set(entry.name.slice(id.length + 1), entry);
  return entries;
}

/** Whether an object left by an earlier attempt has the bytes of the local file; only an MD5 as etag can tell. */
async function isUploaded(bucket: Bucket, key: string, found: BucketEntry | undefined, file: BlockFile, path: string, signal: AbortSignal | undefined): Promise<boolean> {
  if (found === undefined || found.size !== file.sizeBytes) return false;
  const { etag } = await bucket.attributes(key, signal === undefined ? {} : { signal });
  return /^[0-9a-f]{32}$/.test(etag) && etag === (await hashFile(path, 'md5'));
}

/**
 * Uploads a block directory.
 * @param meta what meta.json shall say; `files` and `uploadTime` are filled in here. External labels must not be empty
 * @returns the meta that was uploaded
 * @throws BlockError ERR_BLOCK_LOCAL, ERR_BLOCK_MISMATCH; ObjstoreError, with `isNew` also ERR_PRECONDITION_FAILED
 */
export async function uploadBlock(deps: UploadDeps, directory: string, meta: ThanosMeta, options: UploadBlockOptions = {}): Promise<ThanosMeta> {
  const { bucket, log, clock } = deps;
  const { signal } = options;
  const id = meta.ulid;
  const withSignal = signal === undefined ? {} : { signal };
  if (meta.thanos.labels.length === 0) throw new BlockError('ERR_BLOCK_LOCAL', `upload block ${id}: empty external labels are not allowed for Thanos block`);
  await checkLocalBlock(directory, id);
  const files = await gatherFiles(directory, options.hashFunc);
  const before = await listBlock(bucket, id, signal);

  const send = async (file: BlockFile): Promise<void> => {
    const key = `${id}/${file.relPath}`;
    const path = join(directory, file.relPath);
    if (await isUploaded(bucket, key, before.get(file.relPath), file, path, signal)) {
      log.debug('object is there from an earlier attempt', { block: id, file: file.relPath });
      return;
    }
    await bucket.upload(key, { path }, withSignal);
  };
  await forEachLimited(files.filter((f) => f.relPath.startsWith(`${CHUNKS_DIR}/`)), options.concurrency ?? 1, send);
  await send(files.find((f) => f.relPath === INDEX_FILE)!);

  const after = await listBlock(bucket, id, signal);
  for (const file of files) {
    if (file.relPath === META_FILE) continue;
    const found = after.get(file.relPath)?.size;
    if (found !== file.sizeBytes) throw new BlockError('ERR_BLOCK_MISMATCH', `upload block ${id}: ${file.relPath} has ${found ?? 'no'} bytes in bucket ${bucket.name}, wanted ${file.sizeBytes!}`);
  }
  const uploaded: ThanosMeta = { ...meta, thanos: { ...meta.thanos, files, uploadTime: new Date(clock()).toISOString().replace(/\.?0*Z$/, 'Z') } };
  await putMeta(bucket, `${id}/${META_FILE}`, formatThanosMeta(uploaded), options);
  return uploaded;
}

async function putMeta(bucket: Bucket, key: string, bytes: Uint8Array, { isNew, signal }: UploadBlockOptions): Promise<void> {
  const withSignal = signal === undefined ? {} : { signal };
  if (isNew !== true) await bucket.upload(key, bytes, withSignal);
  else if (await bucket.supportsConditionalWrites(withSignal)) await bucket.upload(key, bytes, { ...withSignal, ifNoneMatch: '*', isExpected: isPreconditionFailed });
  // A store without conditions: two writers at the same moment both succeed, with the same block.
  else if (await bucket.exists(key, withSignal)) throw new ObjstoreError('ERR_PRECONDITION_FAILED', `upload ${key} to bucket ${bucket.name}: it is there already`);
  else await bucket.upload(key, bytes, withSignal);
}
