/** The one error of this package; texts name block, object and offset. */

/** Stable codes of {@link StoreGatewayError}. */
export type StoreGatewayErrorCode =
  /** Bytes of a block in the bucket are not what its checksums or lengths say. */
  | 'ERR_BLOCK_DAMAGED'
  /** A chunk has an encoding this program does not know, or lacks an aggregate that was asked for. */
  | 'ERR_CHUNK_UNSUPPORTED'
  /** A flag or file asks for something that is wrong or not there. */
  | 'ERR_GATEWAY_CONFIG'
  /** The first look at the bucket did not succeed in time. */
  | 'ERR_INITIAL_SYNC'
  /** A block has no such state as it claims, e.g. an unknown resolution. */
  | 'ERR_BLOCK_UNSUPPORTED';

/** What went wrong in the store gateway. */
export class StoreGatewayError extends Error {
  override readonly name: string = 'StoreGatewayError';
  readonly code: StoreGatewayErrorCode;

  constructor(code: StoreGatewayErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
