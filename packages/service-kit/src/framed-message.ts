/** gRPC messages that are sent from where they lie; grpc-server.ts takes them. */

/** Bytes of the header of a gRPC message: not compressed, length. */
export const GRPC_HEADER_BYTES = 5;

/**
 * A serialized message with room for its header in the bytes before it. It goes out from where it lies: a server that copies each message of a
 * large answer spends more on garbage than on sending. The memory must stay as it is until the message was written.
 */
export class FramedMessage {
  readonly bytes: Uint8Array;

  /** @param bytes GRPC_HEADER_BYTES before them are written over */
  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }

  /** Header and message. */
  frame(): Buffer {
    const { buffer, byteOffset, length } = this.bytes;
    const framed = Buffer.from(buffer, byteOffset - GRPC_HEADER_BYTES, length + GRPC_HEADER_BYTES);
    framed[0] = 0;
    framed.writeUInt32BE(length, 1);
    return framed;
  }
}
