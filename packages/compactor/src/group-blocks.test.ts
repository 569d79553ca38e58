/** Groups and their names. */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';

import { groupBlocks, groupName } from './group-blocks.ts';
import { blockMeta } from './testing/bucket-world.ts';

describe('groups', () => {
  test('the name is what Thanos logged for these labels', () => {
    expect(groupName(['cluster', 'eu', 'replica', 'a'], 0)).toBe('0@16129748038303570002');
    expect(groupName(['cluster', 'eu', 'replica', 'a'], 300_000)).toBe('300000@16129748038303570002');
  });
  test('a name is fit for a directory, and says where a label ends', () => {
    expect(groupName(['a', '../../b/\u0000'], 0)).toMatch(/^0@\d+$/);
    expect(groupName(['ab', 'c'], 0)).not.toBe(groupName(['a', 'bc'], 0));
    expect(groupName([], 0)).toBe('0@17241709254077376921');
  });
  test('same labels and same resolution are one group, by minTime', () => {
    const metas = [
      blockMeta(3), blockMeta(1), blockMeta(2, {}, { labels: ['cluster', 'us'] }), blockMeta(4, {}, { resolutionMs: 300_000 }),
      blockMeta(5, { minTime: blockMeta(1).minTime }), blockMeta(6, { minTime: blockMeta(1).minTime, maxTime: blockMeta(5).maxTime }),
    ];
    const groups = groupBlocks(metas);
    expect(groups.map((g) => `${g.labels.join()} ${g.resolutionMs}: ${g.metas.map((m) => Number(m.ulid.slice(-4))).join()}`).sort()).toEqual([
      'cluster,eu 0: 1,5,6,3', 'cluster,eu 300000: 4', 'cluster,us 0: 2',
    ]);
    expect(groups.map((g) => g.key)).toEqual(groups.map((g) => g.key).sort());
    expect(groups.map((g) => g.key)).toEqual(groups.map((g) => groupName(g.labels, g.resolutionMs)));
  });
  test('any order of blocks gives the same groups', () => {
    const metas = Array.from({ length: 9 }, (_, n) => blockMeta(n, {}, { labels: ['cluster', String(n % 3)] }));
    fc.assert(fc.property(fc.shuffledSubarray(metas, { minLength: 9 }), (shuffled) => { expect(groupBlocks(shuffled)).toEqual(groupBlocks(metas)); }));
  });
});
