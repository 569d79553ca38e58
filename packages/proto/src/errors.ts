/** Errors of this package: one class, told apart by `code`. */

/** Stable codes of {@link ProtoError}. */
export type ProtoErrorCode =
  /** The bytes end inside a field. */
  | 'ERR_PROTO_TRUNCATED'
  /** A varint of more than ten bytes, or a length or tag past 32 bits. */
  | 'ERR_PROTO_VARINT'
  /** A known field with another wire type than its definition, or a wire type that does not exist. */
  | 'ERR_PROTO_WIRE_TYPE'
  /** A value the message cannot carry: an unknown symbol reference, a number that is not an integer. */
  | 'ERR_PROTO_VALUE'
  /** The CRC of a streamed remote-read frame differs from its bytes. */
  | 'ERR_PROTO_CRC'
  /** A frame or body larger than the caller allows. */
  | 'ERR_PROTO_TOO_LARGE';

/** What decoders and encoders of this package throw. `offset` is the byte position in the message, -1 if there is none. */
export class ProtoError extends Error {
  override readonly name = 'ProtoError';
  readonly code: ProtoErrorCode;
  readonly offset: number;

  constructor(code: ProtoErrorCode, message: string, offset = -1) {
    super(message);
    this.code = code;
    this.offset = offset;
  }
}
