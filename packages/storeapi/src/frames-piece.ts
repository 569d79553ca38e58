/**
 * Frames of a Series answer on their way between threads: many frames in one buffer, which changes its owner instead of being copied.
 *
 *   worker: frames ─► 256 KiB, or what came in 20 ms ─► piece ─► (one under way, the next one fills) ─► main thread: frames
 */

/** Bytes from which a piece goes out: larger ones hold up the receiving thread, smaller ones cost more messages. */
const PIECE_BYTES = 256 << 10;
/** Frames wait no longer than this for more of them, ms: who asks may have a limit on silence. */
const FLUSH_MS = 20;

/** Frames, one behind the other. */
export interface FramesPiece {
  /** The whole of its buffer. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** End of each frame in `bytes`. */
  readonly ends: readonly number[];
}

/** Puts frames into one buffer of their size; they are copied. */
export function packFrames(frames: readonly Uint8Array[]): FramesPiece {
  let length = 0;
  const ends = frames.map((frame) => (length += frame.length));
  const bytes = new Uint8Array(length);
  frames.forEach((frame, i) => bytes.set(frame, ends[i]! - frame.length));
  return { bytes, ends };
}

/** The frames of a piece, as views of its buffer. */
export function* unpackFrames({ bytes, ends }: FramesPiece): Generator<Uint8Array, void> {
  let start = 0;
  for (const end of ends) {
    yield bytes.subarray(start, end);
    start = end;
  }
}

/**
 * Sends frames to another thread at the pace at which it takes them: nothing is read from `frames` while a piece is under way and the
 * next one is full.
 * @param send hands a piece over, resolves when it was taken; `transfer` is what its buffer needs to change threads
 * @param poll asked at every frame; throws to end the stream
 * @throws what `frames`, `send` and `poll` throw
 */
export async function sendFrames(frames: AsyncIterable<Uint8Array>, send: (piece: FramesPiece, transfer: readonly ArrayBuffer[]) => Promise<void>, poll: () => void = () => {}): Promise<void> {
  let waiting: Uint8Array[] = [];
  let bytes = 0;
  let sending: Promise<void> | undefined;
  const flush = (): void => {
    const piece = packFrames(waiting);
    [waiting, bytes] = [[], 0];
    sending = send(piece, [piece.bytes.buffer]).then(() => {
      sending = undefined;
    });
    // Whoever waits next sees it.
    sending.catch(() => {});
  };
  const timer = setInterval(() => {
    if (waiting.length > 0 && sending === undefined) flush();
  }, FLUSH_MS);
  try {
    for await (const frame of frames) {
      poll();
      waiting.push(frame);
      bytes += frame.length;
      if (bytes < PIECE_BYTES) continue;
      await sending;
      if (waiting.length > 0) flush();
    }
    await sending;
    if (waiting.length > 0) flush();
    await sending;
  } finally {
    clearInterval(timer);
  }
}
