/**
 * Which stores can have data for a request: by time, by store matchers of the user, and by external labels. A store is left out
 * only if it is certain to have nothing.
 */
import { getLabel, type Labels, type Matcher } from '@gauntlet/model';
import type { StoreInfo } from './store.ts';

/** What decides. */
export interface StoreSelection {
  /** ms, inclusive. */
  readonly mint: number;
  /** ms, inclusive. */
  readonly maxt: number;
  readonly matchers: readonly Matcher[];
  /** Sets of matchers on `__address__`, of which one must hold; other names are ignored. None means all stores. */
  readonly storeMatchers?: readonly (readonly Matcher[])[];
}

/** Why a store is not asked. */
export type SkipReason = 'time range' | 'store matchers' | 'external labels';

/** @returns the reason to leave the store out, or `undefined` if it must be asked */
export function skipReason(address: string, info: StoreInfo, selection: StoreSelection): SkipReason | undefined {
  if (selection.mint > info.maxt || selection.maxt < info.mint) return 'time range';
  const sets = selection.storeMatchers ?? [];
  if (sets.length > 0 && !sets.some((set) => set.every((m) => m.name !== '__address__' || m.matches(address)))) return 'store matchers';
  if (!labelSetsMatch(info.labelSets, selection.matchers)) return 'external labels';
  return undefined;
}

/**
 * Whether one of the label sets does not contradict the matchers: a matcher contradicts a set that has its label with another
 * value. No sets contradict nothing.
 */
export function labelSetsMatch(labelSets: readonly Labels[], matchers: readonly Matcher[]): boolean {
  if (labelSets.length === 0) return true;
  return labelSets.some((labels) =>
    matchers.every((matcher) => {
      const value = getLabel(labels, matcher.name);
      return value === '' || matcher.matches(value);
    }),
  );
}
