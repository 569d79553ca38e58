/** What the main thread and a replica's thread tell each other. Plain data throughout: it is copied. */
import type { LogFormat, LogLevel, TaskErrorData } from '@gauntlet/service-kit';
import type { BackfillPlan } from '../backfill/backfill-plan.ts';
import type { StorageSettings } from './storage-options.ts';

/** What a replica is started with. */
export interface ReplicaSettings {
  /** `a` or `b`; value of the label `replica`. */
  readonly name: string;
  /** Its database. */
  readonly dir: string;
  readonly bucketDir: string;
  /** Interval of the built-in targets. */
  readonly scrapeIntervalMs: number;
  /** Own targets: text of the file, and what messages call it. */
  readonly scrapeFile: { readonly text: string; readonly source: string } | undefined;
  readonly storage: StorageSettings;
  /** Least time a block is kept after its upload. */
  readonly keepUploadedMs: number;
  readonly shipIntervalMs: number;
  /** Where in each step of generated history its samples lie, ms. */
  readonly historyOffsetMs: number;
  /** File for what was acknowledged, for tests. */
  readonly ackLogPath: string | undefined;
  readonly logLevel: LogLevel;
  readonly logFormat: LogFormat;
}

/** A built-in job. */
export interface BuiltInJob {
  readonly jobName: string;
  readonly targets: readonly { readonly address: string; readonly metricsPath: string; readonly instance: string }[];
}

/** To the replica. */
export type ToReplica =
  | { readonly type: 'targets'; readonly jobs: readonly BuiltInJob[] }
  | { readonly type: 'backfill'; readonly plan: BackfillPlan }
  | { readonly type: 'cancel backfill' }
  | { readonly type: 'stop' };

/** From the replica. */
export type FromReplica =
  | { readonly type: 'ready'; readonly grpcAddress: string; readonly metricsAddress: string }
  | { readonly type: 'backfill progress'; readonly blocksDone: number; readonly blocks: number }
  | { readonly type: 'backfill done' }
  | { readonly type: 'backfill failed'; readonly error: TaskErrorData }
  | { readonly type: 'failed'; readonly error: TaskErrorData }
  | { readonly type: 'stopped' };
