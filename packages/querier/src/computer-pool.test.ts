import { expect, test } from '@jest/globals';
import { KernelError } from '@gauntlet/kernels';
import { PromqlError } from '@gauntlet/promql';
import { ComputerPool } from './computer-pool.ts';
import { QuerierError, explainMemory } from './errors.ts';

const MIB = 1 << 20;
const open = (maxMemoryBytes = 512 * MIB): ComputerPool => new ComputerPool({ maxMemoryBytes, engine: {} });

test('what was given back is used again, its memory too', () => {
  const pool = open();
  const first = pool.take();
  const { memory } = first.kernels;
  const ptr = memory.alloc(40 * MIB);
  const grownBytes = memory.buffer.byteLength;
  memory.free(ptr);
  pool.giveBack(first);
  const second = pool.take();
  expect(second).toBe(first);
  expect(memory.alloc(40 * MIB)).toBe(ptr);
  expect(memory.buffer.byteLength).toBe(grownBytes);
});

test('two queries at a time have two memories', () => {
  const pool = open();
  expect(pool.take().kernels.memory).not.toBe(pool.take().kernels.memory);
});

test('a memory past 64 MiB is dropped, and so is one that a broken query left charged', () => {
  const pool = open();
  const large = pool.take();
  large.kernels.memory.free(large.kernels.memory.alloc(80 * MIB));
  pool.giveBack(large);
  const leaky = pool.take();
  expect(leaky).not.toBe(large);
  leaky.kernels.memory.alloc(100);
  pool.giveBack(leaky);
  expect(pool.take()).not.toBe(leaky);
});

test('the whole budget can be allocated, much more cannot', () => {
  const { memory } = open(8 * MIB).take().kernels;
  memory.free(memory.alloc(8 * MIB));
  expect(() => memory.alloc(12 * MIB)).toThrow(KernelError);
});

test('kernel memory that runs out names limit and flag, whoever wraps it; other errors stay', () => {
  const out = new KernelError('ERR_KERNEL_MEMORY', 'allocate 5 bytes of kernel memory: 3 in use, limit 4');
  for (const error of [out, new PromqlError('ERR_EXECUTION', `evaluate query: ${out.message}`, { cause: out })]) {
    const told = explainMemory(error, 512 * MIB);
    expect(told).toBeInstanceOf(QuerierError);
    expect(told).toMatchObject({ code: 'ERR_QUERY_MEMORY', message: 'evaluate query: it needs more than the 512.0 MiB of memory one query may use (raise with --query.max-memory)', cause: error });
  }
  for (const error of [new PromqlError('ERR_TIMEOUT', 'late'), new KernelError('ERR_KERNEL_UNSUPPORTED', 'no'), 'text', undefined]) expect(explainMemory(error, MIB)).toBe(error);
});
