/**
 * The memory ledger: what queries may allocate is charged here first, per query and for the process, across threads.
 *
 *   Int32 words of a SharedArrayBuffer, in pages of 4 KiB (so that one word counts to 8 TiB):
 *   [0] process used  [1] process limit  [2] process peak  [3] unused
 *   then per account: [owner, 0 = free] [used] [limit] [peak]
 *
 * An account belongs to one thread at a time; it keeps exact bytes itself and moves whole pages in the shared words, so that a charge inside the page already held
 * costs no atomic operation.
 */
import { ServiceKitError } from './errors.ts';

const PAGE_BYTES = 4096;
const HEADER_WORDS = 4;
const ACCOUNT_WORDS = 4;

/** A refused reservation: what was asked, the limit that refused it, and the flag that raises it. */
export class MemoryLimitError extends ServiceKitError {
  override readonly name: string = 'MemoryLimitError';
  readonly scope: 'query' | 'process';
  readonly askedBytes: number;
  readonly usedBytes: number;
  readonly limitBytes: number;
  readonly flag: string;

  constructor(account: string, scope: 'query' | 'process', askedBytes: number, usedBytes: number, limitBytes: number, flag: string) {
    const holder = scope === 'query' ? `${account} holds` : 'the process holds';
    super('ERR_MEMORY_LIMIT', `reserve ${showBytes(askedBytes)} for ${account}: ${holder} ${showBytes(usedBytes)} of ${showBytes(limitBytes)} (raise with --${flag})`);
    this.scope = scope;
    this.askedBytes = askedBytes;
    this.usedBytes = usedBytes;
    this.limitBytes = limitBytes;
    this.flag = flag;
  }
}

/** What another thread needs to take part; can be posted to workers. */
export interface MemoryLedgerShare {
  readonly words: SharedArrayBuffer;
  readonly processFlag: string;
  readonly queryFlag: string;
}

/** Options of {@link createMemoryLedger}. */
export interface MemoryLedgerOptions {
  /** Limit of all accounts together, bytes. */
  readonly processBytesMax: number;
  /** Accounts that can be open at once. */
  readonly accountsMax: number;
  /** Flag that raises the process limit, without dashes; for messages. */
  readonly processFlag: string;
  /** Flag that raises the limit of an account. */
  readonly queryFlag: string;
}

/** Makes the ledger of a process. */
export function createMemoryLedger(options: MemoryLedgerOptions): MemoryLedger {
  const words = new SharedArrayBuffer(4 * (HEADER_WORDS + ACCOUNT_WORDS * options.accountsMax));
  new Int32Array(words)[1] = toPages(options.processBytesMax);
  return new MemoryLedger({ words, processFlag: options.processFlag, queryFlag: options.queryFlag });
}

/** The ledger as seen from one thread. */
export class MemoryLedger {
  /** Hand this to other threads. */
  readonly share: MemoryLedgerShare;
  readonly #words: Int32Array;

  constructor(share: MemoryLedgerShare) {
    this.share = share;
    this.#words = new Int32Array(share.words);
  }

  /** Bytes reserved by all accounts (whole pages). */
  get usedBytes(): number {
    return Atomics.load(this.#words, 0) * PAGE_BYTES;
  }

  /** Most bytes reserved at any time. */
  get peakBytes(): number {
    return Atomics.load(this.#words, 2) * PAGE_BYTES;
  }

  /** Limit of all accounts together. */
  get limitBytes(): number {
    return Atomics.load(this.#words, 1) * PAGE_BYTES;
  }

  /**
   * Opens an account.
   * @param name what messages call it, such as `query 17`
   * @param bytesMax limit of this account
   * @param owner number of the thread that uses it, at least 1; {@link MemoryLedger.closeAccountsOf} finds accounts by it
   * @throws MemoryLimitError when all accounts are taken
   */
  openAccount(name: string, bytesMax: number, owner = 1): MemoryAccount {
    const accounts = (this.#words.length - HEADER_WORDS) / ACCOUNT_WORDS;
    for (let i = 0; i < accounts; i++) {
      const base = HEADER_WORDS + i * ACCOUNT_WORDS;
      if (Atomics.compareExchange(this.#words, base, 0, owner) !== 0) continue;
      Atomics.store(this.#words, base + 1, 0);
      Atomics.store(this.#words, base + 2, toPages(bytesMax));
      Atomics.store(this.#words, base + 3, 0);
      return new MemoryAccount(this.#words, this.share, base, name);
    }
    throw new MemoryLimitError(name, 'process', 0, this.usedBytes, this.limitBytes, this.share.processFlag);
  }

  /** The account with this index, opened by another thread that no longer charges it. */
  attachAccount(index: number, name: string): MemoryAccount {
    const base = HEADER_WORDS + index * ACCOUNT_WORDS;
    if (Atomics.load(this.#words, base) === 0) throw new ServiceKitError('ERR_CONFIG', `attach memory account ${index}: it is not open`);
    return new MemoryAccount(this.#words, this.share, base, name);
  }

  /** Gives back all that an account holds and closes it; for accounts of threads that died. */
  closeAccount(index: number): void {
    closeAccountAt(this.#words, HEADER_WORDS + index * ACCOUNT_WORDS);
  }

  /**
   * Closes all accounts of a thread that has ended; a terminated one could not.
   * @returns accounts closed
   */
  closeAccountsOf(owner: number): number {
    let closed = 0;
    for (let base = HEADER_WORDS; base < this.#words.length; base += ACCOUNT_WORDS) {
      if (Atomics.load(this.#words, base) !== owner) continue;
      closeAccountAt(this.#words, base);
      closed++;
    }
    return closed;
  }
}

/** What one query holds. Used by one thread at a time. */
export class MemoryAccount {
  readonly name: string;
  /** For {@link MemoryLedger.attachAccount} in another thread. */
  readonly index: number;
  readonly #words: Int32Array;
  readonly #share: MemoryLedgerShare;
  readonly #base: number;
  #usedBytes: number;
  #pages: number;

  constructor(words: Int32Array, share: MemoryLedgerShare, base: number, name: string) {
    this.#words = words;
    this.#share = share;
    this.#base = base;
    this.name = name;
    this.index = (base - HEADER_WORDS) / ACCOUNT_WORDS;
    this.#pages = Atomics.load(words, base + 1);
    this.#usedBytes = this.#pages * PAGE_BYTES;
  }

  /** Bytes reserved now. */
  get usedBytes(): number {
    return this.#usedBytes;
  }

  /** Most bytes reserved at any time, in whole pages. */
  get peakBytes(): number {
    return Atomics.load(this.#words, this.#base + 3) * PAGE_BYTES;
  }

  /** Limit of this account. */
  get limitBytes(): number {
    return Atomics.load(this.#words, this.#base + 2) * PAGE_BYTES;
  }

  /** Charges bytes before they are allocated. @throws MemoryLimitError, or ServiceKitError ERR_CONFIG when the account is closed; nothing is charged then */
  reserve(bytes: number): void {
    if (this.#pages < 0) throw new ServiceKitError('ERR_CONFIG', `reserve ${bytes} bytes for ${this.name}: its account is closed`);
    const wanted = this.#usedBytes + bytes;
    const pages = toPages(wanted);
    const more = pages - this.#pages;
    if (more > 0) {
      const words = this.#words;
      if (pages > words[this.#base + 2]!) throw new MemoryLimitError(this.name, 'query', bytes, this.#usedBytes, this.limitBytes, this.#share.queryFlag);
      const before = Atomics.add(words, 0, more);
      const limit = Atomics.load(words, 1);
      if (before + more > limit) {
        Atomics.sub(words, 0, more);
        throw new MemoryLimitError(this.name, 'process', bytes, before * PAGE_BYTES, limit * PAGE_BYTES, this.#share.processFlag);
      }
      raise(words, 2, before + more);
      Atomics.store(words, this.#base + 1, pages);
      raise(words, this.#base + 3, pages);
      this.#pages = pages;
    }
    this.#usedBytes = wanted;
  }

  /** Gives bytes back; after the account was closed there is nothing to give. @throws ServiceKitError ERR_CONFIG when more than was reserved */
  release(bytes: number): void {
    if (this.#pages < 0) return;
    if (bytes > this.#usedBytes) throw new ServiceKitError('ERR_CONFIG', `release ${bytes} bytes of ${this.name}: only ${this.#usedBytes} are reserved`);
    this.#usedBytes -= bytes;
    const pages = toPages(this.#usedBytes);
    if (pages === this.#pages) return;
    Atomics.sub(this.#words, 0, this.#pages - pages);
    Atomics.store(this.#words, this.#base + 1, pages);
    this.#pages = pages;
  }

  /** Gives everything back and frees the account. Idempotent. */
  close(): void {
    if (this.#pages >= 0) closeAccountAt(this.#words, this.#base);
    this.#pages = -1;
    this.#usedBytes = 0;
  }
}

/** Bytes for people: `64.0 MiB`. */
export function showBytes(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return unit === 0 ? `${value} B` : `${value.toFixed(1)} ${units[unit]!}`;
}

function closeAccountAt(words: Int32Array, base: number): void {
  Atomics.sub(words, 0, Atomics.exchange(words, base + 1, 0));
  Atomics.store(words, base, 0);
}

function toPages(bytes: number): number {
  if (!(bytes >= 0)) throw new ServiceKitError('ERR_CONFIG', `count memory: wanted at least 0 bytes, got ${bytes}`);
  return Math.min(0x3f_ff_ff_ff, Math.ceil(bytes / PAGE_BYTES));
}

function raise(words: Int32Array, index: number, value: number): void {
  for (let seen = Atomics.load(words, index); seen < value; ) {
    const found = Atomics.compareExchange(words, index, seen, value);
    if (found === seen) return;
    seen = found;
  }
}
