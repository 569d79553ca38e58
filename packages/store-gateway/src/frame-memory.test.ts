import { describe, expect, test } from '@jest/globals';
import { GRPC_HEADER_BYTES } from '@gauntlet/service-kit/worker';
import { FrameMemory } from './frame-memory.ts';

describe('memory of frames', () => {
  test('frames of a piece lie one behind the other, each with room for a header', () => {
    const slabs = new FrameMemory().open();
    const a = slabs.allocate(100);
    const b = slabs.allocate(0);
    const c = slabs.allocate(7);
    expect([a, b, c].map((frame) => [frame.byteOffset, frame.length])).toEqual([[GRPC_HEADER_BYTES, 100], [105 + GRPC_HEADER_BYTES, 0], [110 + GRPC_HEADER_BYTES, 7]]);
    expect(new Set([a.buffer, b.buffer, c.buffer]).size).toBe(1);
    slabs.next();
    expect(slabs.allocate(7).buffer).not.toBe(a.buffer);
  });

  test('a full slab is followed by another; what is larger than one has memory of its own', () => {
    const slabs = new FrameMemory().open();
    const first = slabs.allocate(400 << 10);
    const second = slabs.allocate(400 << 10);
    const large = slabs.allocate(3 << 20);
    expect(second.buffer).not.toBe(first.buffer);
    expect([large.length, large.byteOffset, large.buffer.byteLength]).toEqual([3 << 20, GRPC_HEADER_BYTES, (3 << 20) + GRPC_HEADER_BYTES]);
    expect(slabs.allocate(10).buffer).toBe(second.buffer);
  });

  test('what came back is taken again, what was never a slab is not', () => {
    const memory = new FrameMemory();
    const first = memory.open().allocate(10).buffer as ArrayBuffer;
    memory.giveBack([first, new ArrayBuffer(10)]);
    const slabs = memory.open();
    expect(slabs.allocate(10).buffer).toBe(first);
    slabs.next();
    expect(slabs.allocate(10).buffer.byteLength).toBe(first.byteLength);
  });
});
