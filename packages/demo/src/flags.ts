/** Flags of `gauntlet demo …`, a table for each command. The only reader of argv in this package. */
import {
  durationFlag,
  enumFlag,
  type Flag,
  type FlagValues,
  intFlag,
  labelsFlag,
  LOG_FORMATS,
  type LogFormat,
  type LogLevel,
  objstoreFlag,
  type PathOrContent,
  stringFlag,
  stringsFlag,
} from '@gauntlet/service-kit';

const logLevel: Flag<LogLevel> = enumFlag('log.level', ['error', 'warn', 'info', 'debug'], { default: 'warn', help: 'Least level of log lines that are written: error, warn, info or debug.' });
const logFormat: Flag<LogFormat> = enumFlag('log.format', LOG_FORMATS, { default: 'logfmt', help: 'Format of log lines: logfmt, json or journald.' });

/** Flags of `demo shop`. A type, since interfaces are no flag tables. */
export type ShopFlags = { readonly httpAddress: Flag<string>; readonly instances: Flag<number> };
/** See {@link ShopFlags}. */
export const shopFlags: ShopFlags = {
  httpAddress: stringFlag('http-address', { default: '127.0.0.1:8080', help: 'Listen host:port.' }),
  instances: intFlag('instances', { default: 3, min: 1, max: 1000, help: 'How many instances the shop has; each has its page, /shop-<n>/metrics.' }),
};

/** Flags of `demo webhook`. */
export type WebhookFlags = { readonly httpAddress: Flag<string>; readonly alertsMax: Flag<number> };
/** See {@link WebhookFlags}. */
export const webhookFlags: WebhookFlags = {
  httpAddress: stringFlag('http-address', { default: '127.0.0.1:8080', help: 'Listen host:port.' }),
  alertsMax: intFlag('alerts', { default: 1000, min: 1, max: 100_000, help: 'How many alerts are kept for /alerts; older ones are forgotten.' }),
};

/** Flags of `demo bucket`. */
export type MakeBucketFlags = { readonly objstoreConfig: Flag<PathOrContent> };
/** See {@link MakeBucketFlags}. */
export const makeBucketFlags: MakeBucketFlags = { objstoreConfig: objstoreFlag(true) };

/** Flags of `demo history`. */
export type HistoryFlags = {
  readonly objstoreConfig: Flag<PathOrContent>;
  readonly labels: Flag<readonly (readonly [string, string])[]>;
  readonly replicas: Flag<readonly string[]>;
  readonly targetLabels: Flag<readonly (readonly [string, string])[]>;
  readonly lengthMs: Flag<number>;
  readonly stepMs: Flag<number>;
  readonly logLevel: Flag<LogLevel>;
  readonly logFormat: Flag<LogFormat>;
};
/** See {@link HistoryFlags}. */
export const historyFlags: HistoryFlags = {
  objstoreConfig: objstoreFlag(true),
  labels: labelsFlag('label', { help: 'External label of the blocks, besides replica and origin (repeatable).' }),
  replicas: stringsFlag('replica', { default: ['a', 'b'], commas: true, help: 'Replicas that get a history (repeatable, or separated by commas).' }),
  targetLabels: labelsFlag('target-label', { help: 'Label of the targets, besides job and instance (repeatable).' }),
  lengthMs: durationFlag('length', { default: '2d', help: 'How far back the history goes.' }),
  stepMs: durationFlag('step', { default: '15s', help: 'Time between samples.' }),
  logLevel,
  logFormat,
};

/** Values of the flags of `demo history`. */
export type HistoryConfig = FlagValues<HistoryFlags>;
