/**
 * One read of storage for several selectors: who comes first waits for the others, then each series is given to all of them as it comes.
 *
 *   selector a ─┐                          ┌─► visit of a (its filters hold)
 *   selector b ─┴─ all have come ─► read ──┴─► visit of b
 *
 * Nothing is kept, so a selector that comes after the read has begun cannot take part: it reads by itself. The planner takes only selectors
 * together that evaluation reaches without waiting for storage; the wait here is a number of turns of the microtask queue, not a time. It ends
 * early when all have come. Waiting for exactly that would need every operator that fails or ends before its operands have begun to say so, and
 * one that forgets would hang the query; here it costs a read that is not shared.
 */
import { getLabel, type Labels } from '@gauntlet/model';
import type { SharedRead } from '../parser/ast.ts';
import type { QueryContext } from './query-context.ts';
import type { ReadRequest, SeriesVisitor } from './read-series.ts';

/** Turns of the microtask queue that are waited; deep trees take a few per level. */
const TURNS_MAX = 1000;

interface Member {
  readonly accepts: (labels: Labels) => boolean;
  readonly visit: SeriesVisitor;
  readonly withStarts: boolean;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
  isOver: boolean;
}

interface Read {
  readonly mint: number;
  readonly maxt: number;
  readonly members: Member[];
  hasBegun: boolean;
}

/** By the number of the plan. */
export type SharedReads = Map<number, Read>;

/** Reads storage for one selector; `readSeries` without sharing. */
export type ReadAlone = (context: QueryContext, request: ReadRequest, visit: SeriesVisitor) => Promise<void>;

/** Takes part in a shared read, or reads alone if that has begun. */
export async function readShared(context: QueryContext, request: ReadRequest, shared: SharedRead, visit: SeriesVisitor, readAlone: ReadAlone): Promise<void> {
  const { mint, maxt } = request;
  const known = context.sharedReads.get(shared.id);
  if (known !== undefined && (known.hasBegun || known.mint !== mint || known.maxt !== maxt)) return readAlone(context, request, visit);
  const read = known ?? { mint, maxt, members: [], hasBegun: false };
  const { filters } = shared;
  const done = new Promise<void>((resolve, reject) => {
    const accepts = filters.length === 0 ? () => true : (labels: Labels) => filters.every((matcher) => matcher.matches(getLabel(labels, matcher.name)));
    read.members.push({ accepts, visit, withStarts: request.withStarts === true, resolve, reject, isOver: false });
  });
  if (known === undefined) {
    context.sharedReads.set(shared.id, read);
    void readForAll(context, { ...request, matchers: shared.matchers, hints: shared.hints }, read, shared.members, readAlone);
  }
  return done;
}

/** Waits for the members and reads; never rejects, each member hears for itself. */
async function readForAll(context: QueryContext, request: ReadRequest, read: Read, membersMax: number, readAlone: ReadAlone): Promise<void> {
  for (let turn = 0; turn < TURNS_MAX && read.members.length < membersMax; turn++) await Promise.resolve();
  read.hasBegun = true;
  const { members } = read;
  let left = members.length;
  try {
    const withStarts = members.some((member) => member.withStarts);
    await readAlone(context, { ...request, withStarts }, (labels, timestampsPtr, valuesPtr, count, histograms, starts) => {
      for (const member of members) {
        if (member.isOver || !member.accepts(labels)) continue;
        try {
          member.visit(labels, timestampsPtr, valuesPtr, count, histograms, member.withStarts ? starts : undefined);
        } catch (error) {
          member.isOver = true;
          member.reject(error);
          // Without anyone to read for, the read ends.
          if (--left === 0) throw error;
        }
      }
    });
    for (const member of members) member.resolve();
  } catch (error) {
    for (const member of members) member.reject(error);
  }
}
