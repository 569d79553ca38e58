/** `/api/v1/stores`: the endpoints behind a querier. Source: Thanos pkg/api/query/v1.go, stores. */
import { type Labels, labelsToObject } from '@gauntlet/model';
import { type ApiAnswer, answerDataText } from './api-answer.ts';
import { TIME_MAX_MS, TIME_MIN_MS } from './api-params.ts';
import { jsonText } from './json-text.ts';

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

/** Times past what a double holds exactly stand for "open"; on the wire they are the limits of int64. */
function int64Text(timeMs: number): string {
  if (timeMs >= TIME_MAX_MS) return '9223372036854775807';
  return timeMs <= TIME_MIN_MS ? '-9223372036854775808' : String(timeMs);
}

function storeText(store: StoreStatus): string {
  const { name, lastCheckMs, lastError, labelSets, minTimeMs, maxTimeMs } = store;
  const head = jsonText({ name, lastCheck: formatRfc3339(lastCheckMs), lastError: lastError ?? null, labelSets: labelSets.map(labelsToObject) });
  return `${head.slice(0, -1)},"minTime":${int64Text(minTimeMs)},"maxTime":${int64Text(maxTimeMs)}}`;
}

/** Answers with all endpoints by kind, kinds in alphabetical order. */
export function answerStores(stores: readonly StoreStatus[]): ApiAnswer {
  const byKind = new Map<string, string[]>();
  for (const store of stores) {
    if (store.component === undefined) continue;
    const list = byKind.get(store.component) ?? [];
    byKind.set(store.component, list);
    list.push(storeText(store));
  }
  const kinds = [...byKind].sort(([a], [b]) => (a < b ? -1 : 1));
  return answerDataText(`{${kinds.map(([kind, list]) => `${jsonText(kind)}:[${list.join(',')}]`).join(',')}}`);
}
