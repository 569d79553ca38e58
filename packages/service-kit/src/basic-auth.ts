/**
 * Basic authentication against bcrypt hashes. One comparison costs tens of milliseconds of computing by design, so it runs in a worker thread, and outcomes are
 * remembered by a keyed digest of user, password and hash. Unknown users cost a comparison too, so that time does not tell who exists.
 */
import { createHmac, randomBytes } from 'node:crypto';
import { createWorkerPool } from './worker-pool.ts';
import type { Logger } from './log.ts';
import type { Secret } from './secret.ts';

/** Outcomes remembered. */
const REMEMBERED_MAX = 1000;
/** bcrypt hash of nothing anyone knows, of usual cost. */
const STAND_IN_HASH = '$2b$10$C6UzMDM.H6dfI/f/IKcEeO7ZP4pJtVHZ5xsbLG3K2.w0bhTOaTEDa';

/** Compares a password with a bcrypt hash. */
export type ComparePassword = (password: string, hash: string) => Promise<boolean>;

/** Checks `Authorization` headers. */
export interface BasicAuth {
  /** Whether the header names one of the users with the right password. */
  check(header: string | undefined, users: ReadonlyMap<string, Secret>): Promise<boolean>;
}

/** Makes a checker. */
export function createBasicAuth(compare: ComparePassword): BasicAuth {
  const key = randomBytes(32);
  const remembered = new Map<string, Promise<boolean>>();
  return {
    async check(header, users) {
      const credentials = parseBasicHeader(header);
      if (credentials === undefined) return false;
      const known = users.get(credentials.user);
      const hash = known?.reveal() ?? STAND_IN_HASH;
      const digest = createHmac('sha256', key).update(JSON.stringify([credentials.user, credentials.password, hash])).digest('base64');
      let outcome = remembered.get(digest);
      if (outcome === undefined) {
        outcome = compare(credentials.password, hash);
        if (remembered.size >= REMEMBERED_MAX) remembered.delete(remembered.keys().next().value!);
        remembered.set(digest, outcome);
        outcome.catch(() => remembered.delete(digest));
      }
      return (await outcome) && known !== undefined;
    },
  };
}

/** User and password of a header; undefined when it is not a well-formed basic one. */
export function parseBasicHeader(header: string | undefined): { readonly user: string; readonly password: string } | undefined {
  const [, encoded] = /^basic +([A-Za-z0-9+/=_-]+) *$/i.exec(header ?? '') ?? [];
  if (encoded === undefined) return undefined;
  const decoded = Buffer.from(encoded, 'base64').toString('utf8');
  const colon = decoded.indexOf(':');
  return colon < 0 ? undefined : { user: decoded.slice(0, colon), password: decoded.slice(colon + 1) };
}

/** Compares in one worker thread that ends when idle. The module is this package's built `basic-auth-worker.js`. */
export function createPasswordWorker(log: Logger): { readonly compare: ComparePassword; close(): Promise<void> } {
  const built = import.meta.url.endsWith('.ts') ? '../dist/basic-auth-worker.js' : './basic-auth-worker.js';
  const pool = createWorkerPool({ module: new URL(built, import.meta.url), kinds: { password: { workersMax: 1, jobsPerWorker: 1, waitingMax: 1000 } }, log });
  return {
    compare: async (password, hash) => (await pool.run('password', { password, hash })) === true,
    close: () => pool.close(),
  };
}
