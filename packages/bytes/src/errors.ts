/** The one error class of `bytes`: damaged or hostile input, never our own mistakes (those are RangeError). */

/** Stable reasons; callers may switch on them. */
export type BytesErrorCode =
  | 'ERR_BYTES_TRUNCATED'
  | 'ERR_BYTES_VARINT'
  | 'ERR_BYTES_UNSAFE_INTEGER'
  | 'ERR_BYTES_SNAPPY'
  | 'ERR_BYTES_ZSTD'
  | 'ERR_BYTES_TOO_LARGE';

/** Input that cannot be read as asked. */
export class BytesError extends Error {
  override readonly name = 'BytesError';
  /** Stable reason. */
  readonly code: BytesErrorCode;
  /** Byte offset in the input at which the trouble starts. */
  readonly offset: number;

  constructor(code: BytesErrorCode, message: string, offset: number) {
    super(message);
    this.code = code;
    this.offset = offset;
  }
}

/** A read of `wanted` bytes (or bits, by `unit`) at `offset` passes the end. */
export function truncated(what: string, offset: number, wanted: number, got: number, unit: 'bytes' | 'bits' = 'bytes'): BytesError {
  return new BytesError('ERR_BYTES_TRUNCATED', `read ${what} at offset ${offset}: want ${wanted} ${unit}, ${Math.max(0, got)} left`, offset);
}
