/** The request ledger: every request the server saw, in order of arrival, so that tests count what an operation cost. */

/** One request. Fields about the answer are final once it has been sent. */
export interface LedgerEntry {
  readonly method: string;
  /** API name, e.g. `GetObject`. */
  readonly operation: string;
  readonly bucket: string;
  readonly key: string;
  /** Decoded query string as it came. */
  readonly query: string;
  /** Range header as it came, or ''. */
  readonly range: string;
  /** 0 while unanswered and for a broken connection. */
  status: number;
  /** Body bytes received and sent. */
  requestBytes: number;
  responseBytes: number;
  /** Kind of the scripted fault that applied, or ''. */
  fault: string;
}

const ENTRIES_MAX = 200_000;

/** A bounded list of requests: the oldest are dropped past 200,000. */
export class RequestLedger {
  #entries: LedgerEntry[] = [];

  /** Notes a request; the returned entry is filled while it runs. */
  open(entry: Omit<LedgerEntry, 'status' | 'requestBytes' | 'responseBytes' | 'fault'>): LedgerEntry {
    const held: LedgerEntry = { ...entry, status: 0, requestBytes: 0, responseBytes: 0, fault: '' };
    this.#entries.push(held);
    if (this.#entries.length > ENTRIES_MAX) this.#entries.splice(0, ENTRIES_MAX / 10);
    return held;
  }

  /** All requests since the start or the last reset. */
  entries(): readonly LedgerEntry[] {
    return this.#entries;
  }

  /** Requests that agree with every given field; `key` may be a pattern. */
  select(wanted: { readonly method?: string; readonly operation?: string; readonly bucket?: string; readonly key?: string | RegExp; readonly status?: number }): readonly LedgerEntry[] {
    return this.#entries.filter((e) =>
      (wanted.method === undefined || e.method === wanted.method) &&
      (wanted.operation === undefined || e.operation === wanted.operation) &&
      (wanted.bucket === undefined || e.bucket === wanted.bucket) &&
      (wanted.status === undefined || e.status === wanted.status) &&
      (wanted.key === undefined || (typeof wanted.key === 'string' ? e.key === wanted.key : wanted.key.test(e.key))));
  }

  /** Forgets everything. */
  reset(): void {
    this.#entries = [];
  }
}
