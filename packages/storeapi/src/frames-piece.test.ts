/** Frames between threads: nothing lost, nothing merged, and no more read ahead than one piece. */
import { describe, expect, jest, test } from '@jest/globals';
import fc from 'fast-check';
import { type FramesPiece, packFrames, sendFrames, unpackFrames } from './index.ts';

const FRAME_BYTES = 64 << 10;
/** Frames of one piece at this size. */
const PER_PIECE = 4;

async function* framesOf(count: number, taken: { frames: number } = { frames: 0 }): AsyncGenerator<Uint8Array> {
  for (let i = 0; i < count; i++) {
    taken.frames++;
    yield new Uint8Array(FRAME_BYTES).fill(i);
  }
}

/** Lets everything that can go on go on. */
const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('frames come out of a piece as they went in, empty ones too', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 20 }), (frames) => {
      const piece = packFrames(frames);
      expect(piece.bytes.byteLength).toBe(piece.bytes.buffer.byteLength);
      expect([...unpackFrames(piece)]).toEqual(frames);
    }),
  );
});

describe('sendFrames', () => {
  test('sends all frames in order and hands over the buffers', async () => {
    const seen: number[] = [];
    await sendFrames(framesOf(11), async (piece, transfer) => {
      expect(transfer).toEqual([piece.bytes.buffer]);
      for (const frame of unpackFrames(piece)) seen.push(frame[0]!);
    });
    expect(seen).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
  });

  test('reads one piece ahead of a receiver that takes nothing', async () => {
    const taken = { frames: 0 };
    const letGo: (() => void)[] = [];
    const sent = sendFrames(framesOf(40, taken), () => new Promise((resolve) => letGo.push(resolve)));
    await settle();
    await settle();
    expect([taken.frames, letGo.length]).toEqual([2 * PER_PIECE, 1]);
    letGo[0]!();
    await settle();
    expect([taken.frames, letGo.length]).toEqual([3 * PER_PIECE, 2]);
    for (let i = 1; i < 10; i++) {
      letGo[i]!();
      await settle();
    }
    await sent;
    expect(letGo).toHaveLength(10);
  });

  test('a few frames of a slow source go out before it ends', async () => {
    jest.useFakeTimers();
    try {
      let goOn = (): void => {};
      const paused = new Promise<void>((resolve) => (goOn = resolve));
      async function* slow(): AsyncGenerator<Uint8Array> {
        yield new Uint8Array([1]);
        await paused;
        yield new Uint8Array([2]);
      }
      const pieces: FramesPiece[] = [];
      const sent = sendFrames(slow(), async (piece) => void pieces.push(piece));
      await jest.advanceTimersByTimeAsync(100);
      expect(pieces.map((piece) => [...piece.bytes])).toEqual([[1]]);
      goOn();
      await sent;
      expect(pieces.map((piece) => [...piece.bytes])).toEqual([[1], [2]]);
    } finally {
      jest.useRealTimers();
    }
  });

  test('ends with what frames, receiver or poll throw, and closes the source', async () => {
    let closed = 0;
    async function* source(): AsyncGenerator<Uint8Array> {
      try {
        yield* framesOf(40);
        throw new Error('source');
      } finally {
        closed++;
      }
    }
    await expect(sendFrames(source(), async () => {})).rejects.toThrow('source');
    await expect(sendFrames(source(), () => Promise.reject(new Error('receiver')))).rejects.toThrow('receiver');
    let polls = 0;
    const poll = (): void => {
      if (++polls === 3) throw new Error('cancelled');
    };
    await expect(sendFrames(source(), async () => {}, poll)).rejects.toThrow('cancelled');
    expect(closed).toBe(3);
  });
});
