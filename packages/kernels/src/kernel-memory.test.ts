/** The allocator: placement, reuse, joining, limits, and random use against a model; on both kinds of memory. */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { createKernels } from './create-kernels.ts';
import { KernelError } from './errors.ts';

const MIB = 1024 * 1024;

describe.each(['wasm', 'js'] as const)('kernel memory (%s)', (backend) => {
  test('blocks are aligned, apart from each other, and never at 0', () => {
    const { memory } = createKernels({ backend });
    const ptrs = [0, 1, 16, 17, 100, 5000].map((bytes) => memory.alloc(bytes));
    expect(ptrs.every((ptr) => ptr > 0 && ptr % 16 === 0)).toBe(true);
    expect(new Set(ptrs).size).toBe(ptrs.length);
  });

  test('an allocation grows the memory, keeps contents, and detaches old views', () => {
    const { memory } = createKernels({ backend, initialBytes: 131072, maxMemoryBytes: 64 * MIB });
    const ptr = memory.alloc(1000);
    memory.u8(ptr, 1000).fill(7);
    const view = memory.u8(ptr, 1000);
    const before = memory.buffer;
    const big = memory.alloc(3 * MIB);
    expect(memory.buffer).not.toBe(before);
    expect(view.length).toBe(0);
    expect(memory.u8(ptr, 1000).every((byte) => byte === 7)).toBe(true);
    memory.f64(big, 1000).fill(1.5);
    expect(memory.i32(big, 2)[1]).toBe(0x3ff80000);
  });

  test('past the limit: an error with asked and limit; memory stays usable', () => {
    const { memory } = createKernels({ backend, initialBytes: 131072, maxMemoryBytes: 4 * MIB });
    expect(memory.maxBytes).toBe(4 * MIB);
    const kept = memory.alloc(MIB);
    let error: unknown;
    try {
      memory.alloc(4 * MIB);
    } catch (caught) {
      error = caught;
    }
    expect(error).toBeInstanceOf(KernelError);
    expect(error).toMatchObject({ code: 'ERR_KERNEL_MEMORY' });
    expect((error as Error).message).toMatch(/^allocate 4194304 bytes of kernel memory: \d+ in use, limit 4194304$/);
    memory.free(kept);
    expect(memory.usedBytes).toBe(0);
    expect(memory.alloc(3 * MIB)).toBeGreaterThan(0);
  });

  test('freed neighbours are joined before memory grows', () => {
    const { memory } = createKernels({ backend, initialBytes: 131072, maxMemoryBytes: 2 * MIB });
    const parts = Array.from({ length: 15 }, () => memory.alloc(100_000));
    const last = memory.alloc(16);
    for (const ptr of parts) memory.free(ptr);
    const joined = memory.alloc(1_300_000);
    expect(joined).toBeLessThan(last);
    expect(memory.usedBytes).toBeLessThan(1_700_000);
  });

  test('wrong frees are refused', () => {
    const { memory } = createKernels({ backend });
    const a = memory.alloc(64);
    const b = memory.alloc(64);
    memory.alloc(64);
    memory.free(a);
    for (const ptr of [a, b + 8, b + 16, 0, -16, NaN, 1e9]) expect(() => memory.free(ptr)).toThrow(RangeError);
    expect(() => memory.alloc(-1)).toThrow(RangeError);
    expect(() => memory.alloc(NaN)).toThrow(RangeError);
    memory.free(b);
  });

  test('random use: blocks never overlap, contents stay, everything comes back', () => {
    const step = fc.oneof(fc.record({ alloc: fc.oneof(fc.nat(300), fc.nat(40_000)) }), fc.record({ free: fc.nat() }));
    fc.assert(
      fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
        const { memory } = createKernels({ backend, initialBytes: 131072, maxMemoryBytes: 8 * MIB });
        const live: Array<{ ptr: number; bytes: number; mark: number }> = [];
        const check = ({ ptr, bytes, mark }: { ptr: number; bytes: number; mark: number }): void => {
          const view = memory.u8(ptr, bytes);
          for (let i = 0; i < bytes; i++) if (view[i] !== mark) throw new Error(`block at ${ptr}: byte ${i} is ${view[i]}, want ${mark}`);
        };
        steps.forEach((action, i) => {
          if ('alloc' in action) {
            const ptr = memory.alloc(action.alloc);
            memory.u8(ptr, action.alloc).fill(i & 0xff);
            live.push({ ptr, bytes: action.alloc, mark: i & 0xff });
          } else if (live.length > 0) {
            const [block] = live.splice(action.free % live.length, 1);
            check(block!);
            memory.free(block!.ptr);
          }
        });
        live.forEach(check);
        for (const { ptr } of live) memory.free(ptr);
        expect(memory.usedBytes).toBe(0);
        expect(memory.alloc(7 * MIB)).toBeGreaterThan(0);
      }),
      { numRuns: 100 },
    );
  });
});

test('the limit must hold the tables', () => {
  expect(() => createKernels({ maxMemoryBytes: 65536 })).toThrow('create kernels: limit 65536 bytes, want 131072 at least');
});
