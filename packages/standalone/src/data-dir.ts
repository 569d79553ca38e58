/**
 * The data directory:
 *
 *   <data-dir>/lock             claimed while the process runs
 *   <data-dir>/replica-a/       a database as Prometheus has it, and its thanos.shipper.json
 *   <data-dir>/replica-b/
 *   <data-dir>/ruler/           the database of the ruler, likewise
 *   <data-dir>/rules/           rule files
 *   <data-dir>/bucket/          the object store
 *   <data-dir>/store/           caches of the store gateway; may be deleted
 *   <data-dir>/compact/         work of the compactor; may be deleted
 *   <data-dir>/endpoints.yml    where the ruler of the running process is
 *   <data-dir>/backfill.json    plan of the generated history, and whether it is complete
 */
import { existsSync, mkdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { createNodeFileSystem, systemErrorCode } from '@gauntlet/service-kit';
import { StandaloneError } from './errors.ts';

/** Names of the replicas. */
export const REPLICAS: readonly string[] = ['a', 'b'];

/** Paths in a data directory; all absolute. */
export interface DataDir {
  readonly path: string;
  readonly bucket: string;
  readonly store: string;
  readonly compact: string;
  readonly ruler: string;
  readonly rules: string;
  readonly endpoints: string;
  readonly backfillPlan: string;
  /** Nothing has been stored here before. */
  readonly isFresh: boolean;
  replica(name: string): string;
  ackLog(replica: string): string;
  /** Idempotent. */
  release(): void;
}

/**
 * Claims a data directory, making it when missing.
 * @throws StandaloneError ERR_DATA_DIR, ERR_DATA_DIR_LOCKED
 */
export function claimDataDir(given: string): DataDir {
  const path = resolve(given);
  try {
    mkdirSync(path, { recursive: true });
  } catch (error) {
    if (systemErrorCode(error) === 'EEXIST') throw new StandaloneError('ERR_DATA_DIR', `make data directory ${path}: a file has that name`);
    throw new StandaloneError('ERR_DATA_DIR', `make data directory ${path}`, { cause: error });
  }
  let lock: { release(): void } | undefined;
  try {
    lock = createNodeFileSystem().lock(join(path, 'lock'));
  } catch (error) {
    throw new StandaloneError('ERR_DATA_DIR', `claim data directory ${path}`, { cause: error });
  }
  if (lock === undefined) {
    throw new StandaloneError('ERR_DATA_DIR_LOCKED', `claim data directory ${path}: another process uses it; stop that one, or give this one a folder of its own with --data-dir`);
  }
  const replica = (name: string): string => join(path, `replica-${name}`);
  return {
    path,
    bucket: join(path, 'bucket'),
    store: join(path, 'store'),
    compact: join(path, 'compact'),
    ruler: join(path, 'ruler'),
    rules: join(path, 'rules'),
    endpoints: join(path, 'endpoints.yml'),
    backfillPlan: join(path, 'backfill.json'),
    isFresh: !existsSync(join(path, 'bucket')) && REPLICAS.every((name) => !existsSync(replica(name))),
    replica,
    ackLog: (name) => join(path, `ack-${name}.log`),
    release: () => lock.release(),
  };
}
