/**
 * Scripted faults: rules that say which requests go wrong and how. The rules are tried in the order they were added; the
 * first that matches and has occurrences left applies, except that delays add up. Everything is counted, nothing is random.
 *
 *   { action: { kind: 'status', status: 503 }, operation: 'GetObject', key: /chunks/, skip: 2, count: 1 }    the third such GET
 */

/** What goes wrong. */
export type FaultAction =
  /** An error answer instead of the operation. `code` defaults by status. */
  | { readonly kind: 'status'; readonly status: number; readonly code?: string; readonly retryAfterSeconds?: number }
  /** The answer waits this long; the operation then happens. */
  | { readonly kind: 'latency'; readonly ms: number }
  /** Full headers, then the connection breaks after this many body bytes. */
  | { readonly kind: 'cut-body'; readonly afterBytes: number }
  /** Full headers and this many body bytes, then silence until the client gives up or the server closes. */
  | { readonly kind: 'stall-body'; readonly afterBytes: number }
  /** A well-formed answer that holds only this many body bytes, its Content-Length saying so. */
  | { readonly kind: 'truncate'; readonly toBytes: number }
  /** The operation is applied, then the connection breaks without an answer. */
  | { readonly kind: 'lose-answer' }
  /** The connection breaks before the operation. */
  | { readonly kind: 'reset' }
  /** No answer, ever, until the client gives up or the server closes. The operation does not happen. */
  | { readonly kind: 'hang' };

/** Which requests a fault hits. Fields that are absent match everything. */
export interface FaultRule {
  readonly action: FaultAction;
  readonly method?: string;
  /** API name, e.g. `GetObject`, `UploadPart`, `ListObjectsV2`. */
  readonly operation?: string;
  /** Exact key, or pattern. */
  readonly key?: string | RegExp;
  /** Matching requests to let pass first; default 0. */
  readonly skip?: number;
  /** How often it applies; default 1, Infinity for always. */
  readonly count?: number;
}

/** The request as rules see it. */
export interface FaultTarget {
  readonly method: string;
  readonly operation: string;
  readonly key: string;
}

/** What the script decided for one request. */
export interface FaultDecision {
  readonly delayMs: number;
  readonly action: FaultAction | undefined;
}

/** A script of faults; add rules at any time. */
export class FaultScript {
  #rules: { rule: FaultRule; seen: number; applied: number }[] = [];

  /** Adds a rule; it sees requests from now on. */
  add(rule: FaultRule): void {
    this.#rules.push({ rule, seen: 0, applied: 0 });
  }

  /** Removes all rules. */
  clear(): void {
    this.#rules = [];
  }

  /** Rules that have not applied as often as they should: a test ends with none. Endless rules are left out. */
  pending(): readonly FaultRule[] {
    return this.#rules.filter((r) => (r.rule.count ?? 1) !== Infinity && r.applied < (r.rule.count ?? 1)).map((r) => r.rule);
  }

  /** Decides about one request and counts it. */
  decide(target: FaultTarget): FaultDecision {
    let delayMs = 0;
    let action: FaultAction | undefined;
    for (const held of this.#rules) {
      const { rule } = held;
      if (rule.method !== undefined && rule.method !== target.method) continue;
      if (rule.operation !== undefined && rule.operation !== target.operation) continue;
      if (typeof rule.key === 'string' ? rule.key !== target.key : rule.key !== undefined && !rule.key.test(target.key)) continue;
      if (rule.action.kind !== 'latency' && action !== undefined) continue;
      held.seen++;
      if (held.seen <= (rule.skip ?? 0) || held.applied >= (rule.count ?? 1)) continue;
      held.applied++;
      if (rule.action.kind === 'latency') delayMs += rule.action.ms;
      else action = rule.action;
    }
    return { delayMs, action };
  }
}
