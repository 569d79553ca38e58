import { expect, test } from '@jest/globals';
import { detectMemoryLimit } from './cgroup.ts';

const GIB = 1024 ** 3;
const over = (files: Record<string, string>) => ({ machineBytes: 16 * GIB, read: (path: string): string | undefined => files[path] });

test.each([
  { name: 'v2, root of the container', files: { '/proc/self/cgroup': '0::/\n', '/sys/fs/cgroup/memory.max': `${2 * GIB}\n` }, bytes: 2 * GIB, source: '/sys/fs/cgroup/memory.max' },
  { name: 'v2, the smallest of the parents', files: { '/proc/self/cgroup': '0::/pod/c1\n', '/sys/fs/cgroup/pod/c1/memory.max': 'max\n', '/sys/fs/cgroup/pod/memory.max': `${GIB}\n`, '/sys/fs/cgroup/memory.max': `${4 * GIB}\n` }, bytes: GIB, source: '/sys/fs/cgroup/pod/memory.max' },
  { name: 'v1', files: { '/proc/self/cgroup': '5:cpu,cpuacct:/x\n4:memory:/docker/a\n', '/sys/fs/cgroup/memory/docker/a/memory.limit_in_bytes': `${GIB}\n`, '/sys/fs/cgroup/memory/memory.limit_in_bytes': '9223372036854771712\n' }, bytes: GIB, source: '/sys/fs/cgroup/memory/docker/a/memory.limit_in_bytes' },
  { name: 'v1 without limit', files: { '/proc/self/cgroup': '4:memory:/\n', '/sys/fs/cgroup/memory/memory.limit_in_bytes': '9223372036854771712\n' }, bytes: 16 * GIB, source: 'machine' },
  { name: 'nothing to read', files: {}, bytes: 16 * GIB, source: 'machine' },
  { name: 'nonsense', files: { '/proc/self/cgroup': '???\n', '/sys/fs/cgroup/memory.max': 'lots\n' }, bytes: 16 * GIB, source: 'machine' },
])('$name', ({ files, bytes, source }) => {
  expect(detectMemoryLimit(over(files as unknown as Record<string, string>))).toEqual({ bytes, source });
});

test('this machine has memory', () => {
  expect(detectMemoryLimit().bytes).toBeGreaterThan(64 * 1024 * 1024);
});
