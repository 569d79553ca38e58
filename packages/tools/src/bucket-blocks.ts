/** The blocks of a bucket, as every tool wants them: all or an error, sorted by id. */
import { type BlockError, createMetaFetcher, createMetaLoader, type MetaFilter, type ThanosMeta } from '@gauntlet/block';
import { formatDuration } from '@gauntlet/model';
import type { Bucket } from '@gauntlet/objstore';
import type { PathOrContent } from '@gauntlet/service-kit';
import { ToolsError } from './errors.ts';
import type { ToolDeps } from './tool.ts';

/** Blocks of a bucket. */
export interface BucketBlocks {
  /** Sorted by id. */
  readonly metas: readonly ThanosMeta[];
  /** Blocks without, or with a corrupted, meta.json. */
  readonly partial: ReadonlyMap<string, BlockError>;
}

/** Looks at the bucket again at every call; metas that were read are not read twice. */
export interface BlockFinder {
  find(): Promise<BucketBlocks>;
}

/**
 * Makes a finder.
 * @param filters in the order in which they are to run
 */
export function createBlockFinder(bucket: Bucket, deps: Pick<ToolDeps, 'log' | 'metrics' | 'clock' | 'signal'>, filters: readonly MetaFilter[]): BlockFinder {
  const { log, metrics, clock, signal } = deps;
  const fetcher = createMetaFetcher({ loader: createMetaLoader({ bucket, log, metrics }), log, metrics, clock }, filters);
  return {
    async find() {
      const { metas, partial, isComplete, failures } = await fetcher.fetch(signal);
      if (!isComplete) throw new ToolsError('ERR_INCOMPLETE_VIEW', `look at bucket ${bucket.name}: ${failures.length} meta.json could not be read`, failures[0]);
      return { metas: [...metas.values()].sort((a, b) => (a.ulid < b.ulid ? -1 : 1)), partial };
    },
  };
}

/** Opens a bucket, and closes it whatever happens. */
export async function withBucket<T>(deps: ToolDeps, config: PathOrContent, use: (bucket: Bucket) => Promise<T>): Promise<T> {
  const bucket = await deps.openBucket(config, deps.metrics);
  try {
    return await use(bucket);
  } finally {
    await bucket.close();
  }
}

/** `deps` with a signal that also ends after so many milliseconds; its reason then names limit and flag. @param flag '' for a limit that none sets */
export function withTimeout(deps: ToolDeps, timeoutMs: number, flag = '--timeout'): ToolDeps {
  const limit = new AbortController();
  const end = (): void => limit.abort(new ToolsError('ERR_TOOL_TIMEOUT', `it took longer than ${formatDuration(timeoutMs)}${flag === '' ? '' : ` (${flag})`}`));
  // A tool that is done does not wait for its limit.
  setTimeout(end, Math.min(timeoutMs, 2 ** 31 - 1)).unref();
  return { ...deps, signal: AbortSignal.any([deps.signal, limit.signal]) };
}
