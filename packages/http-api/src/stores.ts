/** `/api/v1/stores`: the endpoints behind a querier. Source: Thanos pkg/api/query/v1.go, stores. */
import { type Labels, labelsToObject } from '@gauntlet/model';
import { type ApiAnswer, answerData } from './api-answer.ts';
import type { StoreJson } from './types.ts';

/** State of one endpoint. */
export interface StoreStatus {
  /** `sidecar`, `store`, `rule`, `receive`, `query`, `debug`; undefined while it is unknown: then it is left out. */
  readonly component: string | undefined;
  /** Address. */
  readonly name: string;
  /** ms since 1970. */
  readonly lastCheckMs: number;
  readonly lastError: string | undefined;
  readonly labelSets: readonly Labels[];
  readonly minTimeMs: number;
  readonly maxTimeMs: number;
}

/** RFC 3339 in UTC as Go prints it: no trailing zeros in the fraction. */
export function formatRfc3339(timeMs: number): string {
  return new Date(timeMs).toISOString().replace(/\.?0*Z$/, 'Z');
}

/** Answers with all endpoints by kind, kinds in alphabetical order. */
export function answerStores(stores: readonly StoreStatus[]): ApiAnswer {
  const byKind = new Map<string, StoreJson[]>();
  for (const store of stores) {
    if (store.component === undefined) continue;
    const list = byKind.get(store.component) ?? [];
    byKind.set(store.component, list);
    list.push({
      name: store.name,
      lastCheck: formatRfc3339(store.lastCheckMs),
      lastError: store.lastError ?? null,
      labelSets: store.labelSets.map(labelsToObject),
      minTime: store.minTimeMs,
      maxTime: store.maxTimeMs,
    });
  }
  return answerData(Object.fromEntries([...byKind].sort(([a], [b]) => (a < b ? -1 : 1))));
}
