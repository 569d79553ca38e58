/** The one error of this package; match on `code`, show `message`. */

export type QuerierErrorCode =
  /** A series holds chunks that cannot be decoded here (native histograms, XOR2, downsampled aggregates). */
  | 'ERR_CHUNK_ENCODING'
  /** Chunk bytes that do not decode. */
  | 'ERR_CHUNK_DAMAGED'
  /** The query would pass its memory budget or the process'. */
  | 'ERR_QUERY_MEMORY'
  /** A parameter or flag that makes no sense. */
  | 'ERR_BAD_DATA'
  | 'ERR_CANCELED'
  | 'ERR_TIMEOUT';

export class QuerierError extends Error {
  readonly code: QuerierErrorCode;
  constructor(code: QuerierErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'QuerierError';
    this.code = code;
  }
}
