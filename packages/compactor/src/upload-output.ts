/**
 * A compacted block on its way into the bucket, under a name computed from its inputs (output-id.ts). What is found under that name:
 *
 *   nothing, or fresh parts          free    an upload was killed or is under way: the same bytes are sent again
 *   a whole, unmarked block          done    another run, or another compactor, was there: its block is ours
 *   a deletion mark, or old parts    spent   the block goes or has gone, cleaning may be at work there: the next name is taken
 *
 * meta.json is written on condition that there is none, and after that the block is looked at once more: no source is marked for
 * deletion before a whole block has been seen in its place.
 */
import { BlockError, markerKey, META_FILE, readBucketMeta, type ThanosMeta, uploadBlock } from '@gauntlet/block';
import { type Bucket, isPreconditionFailed } from '@gauntlet/objstore';
import { errorText, type Logger } from '@gauntlet/service-kit';
import { CompactorError } from './errors.ts';
import { compactionOutputId } from './output-id.ts';

/** What is found under a name. */
export type NameState = 'free' | 'done' | 'spent';

/** What naming and uploading need. */
export interface UploadOutputDeps {
  readonly bucket: Bucket;
  readonly log: Logger;
  /** Milliseconds since 1970. */
  readonly clock: () => number;
}

/** Parts older than this are left to cleaning, which begins at twice the age: the two never meet. */
const STALE_PARTS_MS = 24 * 3_600_000;
/** Each spent name stands for a block that somebody marked for deletion. */
const ATTEMPTS_MAX = 64;

/**
 * Looks at a name.
 * @param sources sources the block must have, sorted
 * @throws CompactorError ERR_UPLOAD_BLOCK: kind other if there is a block that lacks files; ObjstoreError
 */
export async function inspectName(deps: UploadOutputDeps, id: string, sources: readonly string[], signal: AbortSignal): Promise<NameState> {
  const { bucket, clock } = deps;
  const sizes = new Map<string, number | undefined>();
  let newestMs = -Infinity;
  for await (const entry of bucket.iterEntries(id, { recursive: true, signal })) {
    sizes.set(entry.name, entry.size);
    newestMs = Math.max(newestMs, entry.lastModifiedMs ?? -Infinity);
  }
  if (sizes.size === 0) return 'free';
  if (sizes.has(markerKey(id, 'deletion'))) return 'spent';
  if (!sizes.has(`${id}/${META_FILE}`)) return clock() - newestMs > STALE_PARTS_MS ? 'spent' : 'free';
  let meta: ThanosMeta;
  try {
    meta = await readBucketMeta(bucket, id, signal);
  } catch (error) {
    // Gone since it was listed, or not readable: nothing to build upon.
    if (error instanceof BlockError) return 'spent';
    throw error;
  }
  if (meta.compaction.sources.toSorted().join() !== sources.join()) return 'spent';
  for (const { relPath, sizeBytes } of meta.thanos.files) {
    const size = sizes.get(`${id}/${relPath}`);
    if (sizes.has(`${id}/${relPath}`) && (sizeBytes === undefined || size === sizeBytes)) continue;
    throw new CompactorError('ERR_UPLOAD_BLOCK', 'other', `look at compacted block ${id}: ${relPath} has ${size ?? 'no'} bytes in bucket ${bucket.name}, its meta.json says ${sizeBytes ?? 'it is there'}; mark the block for deletion to have it made again`, { blocks: [id] });
  }
  return 'done';
}

/** The sources of what is made of these, sorted. */
export function sourcesOf(inputs: readonly ThanosMeta[]): string[] {
  return [...new Set(inputs.flatMap((meta) => meta.compaction.sources))].sort();
}

/**
 * The name the output of these inputs has.
 * @returns whether it is there already
 * @throws as {@link inspectName}
 */
export async function nameOutput(deps: UploadOutputDeps, inputs: readonly ThanosMeta[], signal: AbortSignal): Promise<{ readonly id: string; readonly isDone: boolean }> {
  const sources = sourcesOf(inputs);
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
    const id = compactionOutputId(inputs, attempt);
    const state = await inspectName(deps, id, sources, signal);
    if (state !== 'spent') return { id, isDone: state === 'done' };
    deps.log.info('a name is spent: its block is marked for deletion, or what is left of an upload waits for cleaning', { block: id });
  }
  throw new CompactorError('ERR_UPLOAD_BLOCK', 'other', `name the block made of ${inputs.map((meta) => meta.ulid).join(', ')}: ${ATTEMPTS_MAX} names are spent; wait until marked blocks are deleted`, { blocks: inputs.map((meta) => meta.ulid) });
}

/** How to upload. */
export interface UploadOutputOptions {
  readonly hashFunc: 'SHA256' | '';
  /** `--block-files-concurrency` */
  readonly fileConcurrency: number;
}

/**
 * Uploads; when it returns, the whole block is in the bucket, be it ours or another compactor's of the same inputs.
 * @throws CompactorError ERR_UPLOAD_BLOCK, kind retry; the signal's reason
 */
export async function uploadOutput(deps: UploadOutputDeps, dir: string, meta: ThanosMeta, options: UploadOutputOptions, signal: AbortSignal): Promise<void> {
  const sources = meta.compaction.sources.toSorted();
  const retry = (what: string, cause?: unknown): CompactorError => new CompactorError('ERR_UPLOAD_BLOCK', 'retry', `upload compacted block ${meta.ulid}: ${what}`, { blocks: [meta.ulid], cause });
  try {
    // The name may have been spent while the block was made.
    let state = await inspectName(deps, meta.ulid, sources, signal);
    if (state === 'free') {
      try {
        await uploadBlock(deps, dir, meta, { hashFunc: options.hashFunc, concurrency: options.fileConcurrency, isNew: true, signal });
      } catch (error) {
        if (!isPreconditionFailed(error)) throw error;
        deps.log.info('another compactor has uploaded the same block', { block: meta.ulid });
      }
      state = await inspectName(deps, meta.ulid, sources, signal);
    }
    if (state !== 'done') throw retry(`found ${state === 'spent' ? 'a deletion mark or another block' : 'no whole block'} in its place`);
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof CompactorError) throw error;
    throw retry(errorText(error), error);
  }
}
