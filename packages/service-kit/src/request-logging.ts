/**
 * Which requests are logged: the file of `--request.logging-config`.
 *
 *   options: {level: INFO, decision: {log_start: false, log_end: true}}     for both protocols
 *   http: {options: …, config: [{path: /api/v1/query, port: 10902}]}        no list: all endpoints
 *   grpc: {options: …, config: [{service: thanos.Store, method: Series}]}
 *
 * Successful requests are logged at debug, failed ones at error; lines below the configured level are left out. Source: Thanos pkg/logging.
 */
import * as schema from './config-schema.ts';
import { decodeYaml } from './config-yaml.ts';
import { ServiceKitError } from './errors.ts';
import { LOG_LEVELS, type LogLevel } from './log.ts';

/** What is logged of one protocol. */
export interface RequestLogRule {
  readonly logStart: boolean;
  readonly logEnd: boolean;
  /** Least level of request lines. */
  readonly level: LogLevel;
  /** Names (`/path:port` or `/service/method`) that are logged; undefined for all. */
  readonly only: ReadonlySet<string> | undefined;
}

/** Rules of both protocols. */
export interface RequestLogging {
  readonly http: RequestLogRule;
  readonly grpc: RequestLogRule;
}

const NOTHING: RequestLogRule = { logStart: false, logEnd: false, level: 'error', only: undefined };
/** Logs no request. */
export const NO_REQUEST_LOGGING: RequestLogging = { http: NOTHING, grpc: NOTHING };

const optionsSchema = schema.orEmpty({
  level: schema.withDefault(schema.oneOf(['', 'DEBUG', 'INFO', 'WARNING', 'ERROR']), ''),
  decision: schema.orEmpty({ log_start: schema.withDefault(schema.bool(), false), log_end: schema.withDefault(schema.bool(), false) }),
});
const loggingSchema = schema.object({
  options: optionsSchema,
  http: schema.orEmpty({
    options: optionsSchema,
    config: schema.withDefault(schema.list(schema.object({ path: schema.string(), port: schema.withDefault(schema.int({ min: 0, max: 65_535 }), 0) })), []),
  }),
  grpc: schema.orEmpty({
    options: optionsSchema,
    config: schema.withDefault(schema.list(schema.object({ service: schema.string(), method: schema.string() })), []),
  }),
});

/** Reads the configuration; an empty text logs nothing. @throws ConfigError */
export function parseRequestLogging(text: string, source: string): RequestLogging {
  if (text.trim() === '') return NO_REQUEST_LOGGING;
  const config = decodeYaml(text, loggingSchema, source);
  const rule = (protocol: 'http' | 'grpc', names: readonly string[]): RequestLogRule => {
    const own = config[protocol].options;
    const isOwnEmpty = own.level === '' && !own.decision.log_start && !own.decision.log_end;
    const { level, decision } = isOwnEmpty ? config.options : own;
    if (level === '' && (decision.log_start || decision.log_end)) throw new ServiceKitError('ERR_CONFIG', `${source}: ${protocol}: level field is empty`);
    if (decision.log_start && !decision.log_end) throw new ServiceKitError('ERR_CONFIG', `${source}: ${protocol}: log_start without log_end is not supported`);
    const least: LogLevel = level === 'WARNING' ? 'warn' : level === '' ? 'error' : (level.toLowerCase() as LogLevel);
    return { logStart: decision.log_start, logEnd: decision.log_end, level: least, only: names.length === 0 ? undefined : new Set(names) };
  };
  return {
    http: rule('http', config.http.config.map(({ path, port }) => `${path}:${port}`)),
    grpc: rule('grpc', config.grpc.config.map(({ service, method }) => `/${service}/${method}`)),
  };
}

/** Whether requests of this name are logged at all. */
export function ruleMatches(rule: RequestLogRule, name: string): boolean {
  return rule.logEnd && (rule.only === undefined || rule.only.has(name));
}

/** Whether a line of this level passes the rule. */
export function ruleAllows(rule: RequestLogRule, level: LogLevel): boolean {
  return LOG_LEVELS.indexOf(level) >= LOG_LEVELS.indexOf(rule.level);
}
