/** What is told of a replay: nothing of a whole log, what is lost of others. */
import { expect, test } from '@jest/globals';
import { type ReplayReport, UNREADABLE_HISTOGRAMS, type WalRepair } from '../head/replay.ts';
import { describeReplay } from './replay-notes.ts';

const whole: ReplayReport = { segments: 2, series: 1, samples: 9, samplesBeforeMinValid: 3, samplesOutOfOrder: 1, unknownRefs: 0, skippedRecords: new Map([['exemplars', 7]]), repair: undefined, recovered: undefined, nextSegment: 2, outOfOrder: undefined };
const cut: WalRepair = { segment: 1, goodBytes: 100, lostBytes: 20, lostSegments: 0, isTornTail: true, reason: 'fragment of 9 bytes is cut off' };
const flipped: WalRepair = { segment: 0, goodBytes: 8, lostBytes: 900, lostSegments: 2, isTornTail: false, reason: 'unexpected checksum 1, want 2' };
const late = { samples: 0, unknownRefs: 0, skippedRecords: new Map(), repair: undefined, recovered: undefined, nextSegment: 0 };

test.each<[string, Partial<ReplayReport>, string[]]>([
  ['a whole log, with records of kinds that are not kept', {}, []],
  ['a torn write', { repair: cut }, ['note segment 1, offset 100: fragment of 9 bytes is cut off; a write that was cut off, 20 bytes from there on are lost']],
  ['damage', { repair: flipped }, ['damage segment 0, offset 8: unexpected checksum 1, want 2; not what was written, 900 bytes, 2 segments, from there on are lost']],
  [
    'damage of the second log comes before a torn write of the first',
    { repair: cut, outOfOrder: { ...late, repair: flipped } },
    [
      'damage samples out of order, segment 0, offset 8: unexpected checksum 1, want 2; not what was written, 900 bytes, 2 segments, from there on are lost',
      'note segment 1, offset 100: fragment of 9 bytes is cut off; a write that was cut off, 20 bytes from there on are lost',
    ],
  ],
  ['series that no record names, in both logs', { unknownRefs: 3, outOfOrder: { ...late, unknownRefs: 4 } }, ['note 7 samples and other entries are left out, because no record names their series']],
  [
    'what cannot be stored, and what nobody knows',
    { skippedRecords: new Map([[UNREADABLE_HISTOGRAMS, 2], ['type 77', 1]]), outOfOrder: { ...late, skippedRecords: new Map([['type 77', 4]]) } },
    [`note 2 ${UNREADABLE_HISTOGRAMS} are left out`, 'note 5 records of type 77 are passed over, because nobody knows it'],
  ],
  [
    'what came back, and what could not',
    { repair: flipped, recovered: { samples: 12, mint: 1, maxt: 2, unknownSamples: 3, damage: ['chunks_head/000001: offset 8: torn'] }, outOfOrder: { ...late, repair: cut, recovered: { samples: 0, mint: 0, maxt: 0, unknownSamples: 0, damage: [] } } },
    [
      'damage segment 0, offset 8: unexpected checksum 1, want 2; not what was written, 900 bytes, 2 segments, from there on are lost',
      'note samples out of order, segment 1, offset 100: fragment of 9 bytes is cut off; a write that was cut off, 20 bytes from there on are lost',
      'note 12 samples of what was lost are back from chunks_head, and logged again',
      'note 3 samples in chunks_head are left out, because no record names their series',
      'note not all of chunks_head can be read: chunks_head/000001: offset 8: torn',
    ],
  ],
])('%s', (_name, parts, want) => {
  expect(describeReplay({ ...whole, ...parts }).map(({ kind, text }) => `${kind} ${text}`)).toEqual(want);
});
