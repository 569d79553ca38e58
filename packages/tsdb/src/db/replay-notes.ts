/**
 * What the replay of a log has to tell people: where it was cut and what is lost with that, and what was left out.
 *
 *   damage   bytes that are not what was written; everything behind them is lost
 *   note     what came back of that from chunks_head, and what there cannot be had; a write that a crash cut off, which nobody was told had succeeded; entries of series that no record names, for which Prometheus
 *            warns of unknown series references; histograms that cannot be stored; records of kinds that nobody knows
 */
import type { HeadChunksReport } from '../head/recover-chunks.ts';
import { type ReplayReport, UNREADABLE_HISTOGRAMS, type WalRepair } from '../head/replay.ts';

/** One thing to tell. */
export interface ReplayNote {
  readonly kind: 'damage' | 'note';
  readonly text: string;
}

/** Everything worth telling about a replay, the worst first; empty for a log that is whole. */
export function describeReplay({ repair, recovered, unknownRefs, skippedRecords, outOfOrder }: ReplayReport): ReplayNote[] {
  const notes: ReplayNote[] = [];
  if (repair !== undefined) notes.push(describeRepair(repair, ''));
  if (outOfOrder?.repair !== undefined) notes.push(describeRepair(outOfOrder.repair, 'samples out of order, '));
  notes.sort((a, b) => (a.kind === b.kind ? 0 : a.kind === 'damage' ? -1 : 1));
  for (const report of [recovered, outOfOrder?.recovered]) if (report !== undefined) notes.push(...describeRecovered(report));
  const unknown = unknownRefs + (outOfOrder?.unknownRefs ?? 0);
  if (unknown > 0) notes.push({ kind: 'note', text: `${unknown} samples and other entries are left out, because no record names their series` });
  const skipped = new Map(skippedRecords);
  for (const [name, count] of outOfOrder?.skippedRecords ?? []) skipped.set(name, (skipped.get(name) ?? 0) + count);
  for (const [name, count] of skipped) {
    if (name === UNREADABLE_HISTOGRAMS) notes.push({ kind: 'note', text: `${count} ${UNREADABLE_HISTOGRAMS} are left out` });
    else if (name.startsWith('type ')) notes.push({ kind: 'note', text: `${count} records of ${name} are passed over, because nobody knows it` });
  }
  return notes;
}

function describeRepair({ segment, goodBytes, lostBytes, lostSegments, isTornTail, reason }: WalRepair, log: string): ReplayNote {
  const lost = `${lostBytes} bytes${lostSegments > 0 ? `, ${lostSegments} segments,` : ''} from there on are lost`;
  return { kind: isTornTail ? 'note' : 'damage', text: `${log}segment ${segment}, offset ${goodBytes}: ${reason}; ${isTornTail ? 'a write that was cut off' : 'not what was written'}, ${lost}` };
}

/** Nothing where nothing came back and nothing was there to come back. */
function describeRecovered({ samples, unknownSamples, damage }: HeadChunksReport): ReplayNote[] {
  const notes: ReplayNote[] = [];
  if (samples > 0) notes.push({ kind: 'note', text: `${samples} samples of what was lost are back from chunks_head, and logged again` });
  if (unknownSamples > 0) notes.push({ kind: 'note', text: `${unknownSamples} samples in chunks_head are left out, because no record names their series` });
  for (const text of damage) notes.push({ kind: 'note', text: `not all of chunks_head can be read: ${text}` });
  return notes;
}
