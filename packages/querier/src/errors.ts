/** The one error of this package; match on `code`, show `message`. */
import { KernelError } from '@gauntlet/kernels';
import { PromqlError } from '@gauntlet/promql';
import { showBytes } from '@gauntlet/service-kit/worker';

export type QuerierErrorCode =
  /** A series holds chunks that cannot be decoded here (native histograms, XOR2, downsampled aggregates). */
  | 'ERR_CHUNK_ENCODING'
  /** Chunk bytes that do not decode. */
  | 'ERR_CHUNK_DAMAGED'
  /** The query would pass its memory budget or the process'. */
  | 'ERR_QUERY_MEMORY'
  /** A task that makes no sense. */
  | 'ERR_BAD_DATA'
  /** The reader of an answer took nothing for as long as a query may take. */
  | 'ERR_TIMEOUT';

export class QuerierError extends Error {
  readonly code: QuerierErrorCode;
  constructor(code: QuerierErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'QuerierError';
    this.code = code;
  }
}

/**
 * Kernel memory ends where the budget of the query ends: its user hears of the flag, not of the allocator. Other errors stay as they are.
 * @param maxMemoryBytes `--query.max-memory`
 */
export function explainMemory(error: unknown, maxMemoryBytes: number): unknown {
  const cause = error instanceof KernelError ? error : error instanceof Error ? error.cause : undefined;
  if (!(cause instanceof KernelError) || cause.code !== 'ERR_KERNEL_MEMORY') return error;
  const at = error instanceof PromqlError && error.place !== undefined ? `, at ${error.place}` : '';
  return new QuerierError('ERR_QUERY_MEMORY', `evaluate query: it needs more than the ${showBytes(maxMemoryBytes)} of memory one query may use (raise with --query.max-memory)${at}`, { cause: error });
}
