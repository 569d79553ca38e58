import { MessageChannel } from 'node:worker_threads';
import { describe, expect, test } from '@jest/globals';
import { createBlockIo } from './block-io.ts';
import { createPortBlockIo, serveBlockIo } from './block-io-port.ts';
import { NO_INDEX_CACHE } from './index-cache.ts';
import { ReadBuffers } from './read-buffers.ts';
import { createMemoryBucket } from '@gauntlet/objstore';
import { createGate } from '@gauntlet/service-kit';

describe('read buffers', () => {
  test('a buffer that came back is taken again, one in use never', () => {
    const buffers = new ReadBuffers();
    const a = buffers.take(20_000);
    const b = buffers.take(20_000);
    expect(a.buffer).not.toBe(b.buffer);
    expect([a.length, a.byteOffset]).toEqual([20_000, 0]);
    buffers.giveBack(a.subarray(10, 20));
    expect(buffers.take(32_768).buffer).toBe(a.buffer);
    expect(buffers.take(32_768).buffer).not.toBe(a.buffer);
  });

  test('what is not from here, and what passes the bound, is dropped', () => {
    const buffers = new ReadBuffers();
    const foreign = new Uint8Array(1 << 20);
    buffers.giveBack(foreign);
    expect(buffers.take(1 << 20).buffer).not.toBe(foreign.buffer);
    const many = Array.from({ length: 4 }, () => buffers.take(8 << 20));
    for (const bytes of many) buffers.giveBack(bytes);
    const again = new Set(many.map((bytes) => bytes.buffer));
    expect(Array.from({ length: 4 }, () => again.has(buffers.take(8 << 20).buffer)).filter(Boolean).length).toBe(3);
  });

  test('reads over a port go into them, and are charged until released', async () => {
    const bucket = createMemoryBucket();
    const content = Uint8Array.from({ length: 50_000 }, (_none, i) => i & 255);
    await bucket.upload('block/index', content);
    let charged = 0;
    const io = createBlockIo({
      bucket,
      cache: NO_INDEX_CACHE,
      gate: createGate({ max: 2 }),
      account: { reserve: (bytes) => void (charged += bytes), release: (bytes) => void (charged -= bytes) },
      signal: new AbortController().signal,
    });
    const { port1, port2 } = new MessageChannel();
    serveBlockIo(port1, io);
    const buffers = new ReadBuffers();
    const worker = createPortBlockIo(port2, new AbortController().signal, buffers, () => {});
    try {
      const found = await worker.read('block/index', 49_000, 5000);
      expect(found).toEqual(content.slice(49_000));
      expect(charged).toBe(1000);
      await expect(worker.read('block/none', 0, 10)).rejects.toMatchObject({ code: 'ERR_OBJECT_NOT_FOUND' });
      expect(charged).toBe(1000);
      worker.reuse(found);
      expect((await worker.read('block/index', 0, 4096)).buffer).toBe(found.buffer);
    } finally {
      worker.close();
      port1.close();
    }
  });
});
