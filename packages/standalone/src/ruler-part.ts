/**
 * The ruler in this process: it evaluates over the querier (HTTP, loopback), and the querier reads its results (gRPC, loopback).
 *
 *   querier starts, without it ─► ruler starts, with the querier's address ─► endpoints.yml, which the querier watches, gets the ruler's
 *
 * Its external labels are those of the replicas, with `ruler` in place of `replica`; the querier takes both off, so that recorded series
 * read like scraped ones.
 */
import { createRuler, createRuleLoader, type Ruler, RulerError, rulerFlags } from '@gauntlet/ruler';
import { formatLabels, type Labels } from '@gauntlet/model';
import { BUILD_INFO, createMetrics, createNodeFileSystem, type Logger, parseFlags, registerProcessMetrics } from '@gauntlet/service-kit';
import { replaceFile } from '@gauntlet/tsdb';
import type { DataDir } from './data-dir.ts';
import { StandaloneError } from './errors.ts';
import type { StandaloneConfig } from './flags.ts';
import { KEEP_UPLOADED_MS } from './gateway-part.ts';

/** External label of what the ruler writes; a replica label of the querier. */
export const RULER_LABEL = 'ruler';
/** Its value. */
export const RULER_NAME = 'local';

const GRACE = '2s';

/** What the ruler is built with. */
export interface RulerPartOptions {
  readonly config: StandaloneConfig;
  readonly dir: DataDir;
  /** `host:port` of the querier's HTTP server. */
  readonly querier: string;
  readonly externalLabels: Labels;
  readonly log: Logger;
  /** Milliseconds since 1970. */
  readonly clock: () => number;
}

/** Patterns of the rule files: those of the data directory, and what the flags add. */
export function rulePatterns(config: StandaloneConfig, dir: DataDir): readonly string[] {
  return [`${dir.rules}/*.yml`, ...config.ruleFiles];
}

/** Reads all rule files, so that a mistake is reported before anything starts. @throws RulerError ERR_RULE_FILES with every problem */
export function checkRules(patterns: readonly string[], log: Logger): void {
  const { problems, warnings } = createRuleLoader(patterns).load();
  for (const warning of warnings) log.warn(warning);
  if (problems.length > 0) throw new RulerError('ERR_RULE_FILES', `load rule files: ${problems.join('; ')}`);
}

/** Builds the ruler. @throws RulerError, StandaloneError for flags it cannot work with */
export function buildRuler({ config, dir, querier, externalLabels, log, clock }: RulerPartOptions): Promise<Ruler> {
  const labels = externalLabels.flatMap((name, i) => (i % 2 === 0 ? [`--label=${name}=${JSON.stringify(externalLabels[i + 1]!)}`] : []));
  const argv = [
    '--http-address=127.0.0.1:0',
    '--grpc-address=127.0.0.1:0',
    `--http-grace-period=${GRACE}`,
    `--grpc-grace-period=${GRACE}`,
    ...labels,
    // Alertmanager need not know which of us found it.
    `--alert.label-drop=${RULER_LABEL}`,
    `--data-dir=${dir.ruler}`,
    ...rulePatterns(config, dir).map((pattern) => `--rule-file=${pattern}`),
    `--eval-interval=${config.evalIntervalMs}ms`,
    `--query=${querier}`,
    `--alert.query-url=http://${querier}`,
    ...config.alertmanagerUrls.map((url) => `--alertmanagers.url=${url}`),
    `--objstore.config=${JSON.stringify({ type: 'FILESYSTEM', config: { directory: dir.bucket } })}`,
    `--tsdb.retention=${config.localRetentionMs}ms`,
    `--tsdb.block-duration=${config.blockDurationMs}ms`,
    `--shipper.keep-uploaded=${KEEP_UPLOADED_MS}ms`,
    `--shipper.interval=${config.shipIntervalMs}ms`,
    ...(config.ackLog ? ['--debug.ack-log'] : []),
    `--log.level=${config.logLevel}`,
    `--log.format=${config.logFormat}`,
    '--debug.name=rule',
  ];
  const outcome = parseFlags({ name: 'rule', help: '', flags: rulerFlags }, argv);
  if (outcome.kind === 'exit') throw new StandaloneError('ERR_ADDRESS', `configure ruler with labels ${formatLabels(externalLabels)}: ${outcome.stderr.trim()}`);
  // Its own page of metrics: names are the querier's too.
  const metrics = createMetrics(clock);
  registerProcessMetrics(metrics, BUILD_INFO);
  return createRuler(outcome.values, { log: calmLogger(log.child({ part: 'rule' })), metrics, clock, shownFlags: Object.fromEntries(outcome.shown) });
}

/** Tells the querier which endpoints there are beside those of its flags. */
export function writeEndpoints(dir: DataDir, addresses: readonly string[]): void {
  replaceFile(createNodeFileSystem(), dir.endpoints, new TextEncoder().encode(`${JSON.stringify({ endpoints: addresses.map((address) => ({ address })) })}\n`));
}

/** To run without an Alertmanager is nothing to warn of here: alerts are on the page. */
function calmLogger(log: Logger): Logger {
  return {
    debug: (message, fields) => log.debug(message, fields),
    info: (message, fields) => log.info(message, fields),
    warn: (message, fields) => (message === 'no alertmanager configured' ? log.info(message, fields) : log.warn(message, fields)),
    error: (message, fields) => log.error(message, fields),
    enabled: (level) => log.enabled(level),
    child: (fields) => calmLogger(log.child(fields)),
  };
}
