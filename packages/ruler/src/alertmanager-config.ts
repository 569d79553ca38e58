/**
 * Which Alertmanagers get the alerts, and how alerts are relabelled on the way: `--alertmanagers.config` or `--alertmanagers.url`,
 * `--alert.relabel-config`. Source: Thanos pkg/alert/config.go.
 */
import { createRelabelRule, type RelabelConfig, type RelabelRule } from '@gauntlet/model';
import { decodeYaml, type HttpClientSettings, httpClientSchema, schema, type Schema } from '@gauntlet/service-kit';
import { RulerError } from './errors.ts';
import type { RulerConfig } from './flags.ts';
import { ENDPOINT_FIELDS, endpointsOfAddress, endpointsOfEntry, type EndpointsEntry, type HttpEndpointsConfig } from './http-endpoints.ts';

/** Version of the Alertmanager API. */
export type AlertmanagerApi = 'v1' | 'v2';

/** A set of Alertmanagers. */
export interface AlertmanagersConfig {
  readonly endpoints: HttpEndpointsConfig;
  readonly timeoutMs: number;
  readonly api: AlertmanagerApi;
}

/** Port of an Alertmanager that gives none. */
const DEFAULT_PORT = 9093;
const DEFAULT_TIMEOUT_MS = 10_000;

interface AlertmanagerEntry extends EndpointsEntry {
  readonly http_config: HttpClientSettings;
  readonly timeout: number;
  readonly api_version: AlertmanagerApi;
}

const FORMAT: Schema<{ readonly alertmanagers: readonly AlertmanagerEntry[] }> = schema.object({
  alertmanagers: schema.withDefault(
    schema.list(
      schema.object({
        http_config: httpClientSchema(),
        ...ENDPOINT_FIELDS,
        timeout: schema.withDefault(schema.duration(), DEFAULT_TIMEOUT_MS),
        api_version: schema.withDefault(schema.oneOf(['v1', 'v2']), 'v2'),
      }),
    ),
    [],
  ),
});

/** Reads the file of `--alertmanagers.config`. @param source file name for messages @throws ConfigError with line and column */
export function parseAlertmanagersConfig(text: string, source: string): readonly AlertmanagersConfig[] {
  return decodeYaml(text, FORMAT, source).alertmanagers.map((entry) => ({ endpoints: endpointsOfEntry(entry, entry.http_config), timeoutMs: entry.timeout, api: entry.api_version }));
}

/** All Alertmanagers of the flags; may be none. @throws RulerError ERR_CONFIG for both kinds of flags; ConfigError */
export function alertmanagers(config: RulerConfig): readonly AlertmanagersConfig[] {
  const text = config.alertmanagersConfig.content();
  if (text.trim() === '') {
    return config.alertmanagerUrls.map((url) => ({
      endpoints: endpointsOfAddress(url, 'alertmanagers.url', { needsScheme: true, dnsPort: DEFAULT_PORT }),
      timeoutMs: config.alertmanagersTimeoutMs,
      api: 'v2',
    }));
  }
  if (config.alertmanagerUrls.length > 0) throw new RulerError('ERR_CONFIG', '--alertmanagers.url and --alertmanagers.config* parameters cannot be defined at the same time');
  return parseAlertmanagersConfig(text, config.alertmanagersConfig.source);
}

const { int, list, object, optional, string, withDefault } = schema;

const RELABEL: Schema<readonly RelabelConfig[]> = withDefault(
  list(
    schema.mapped(
      object({
        source_labels: optional(list(string())),
        separator: optional(string()),
        regex: optional(string()),
        modulus: optional(int({ min: 0 })),
        target_label: optional(string()),
        replacement: optional(string()),
        action: optional(string()),
      }),
      (raw): RelabelConfig => {
        const config = { sourceLabels: raw.source_labels, separator: raw.separator, regex: raw.regex, modulus: raw.modulus, targetLabel: raw.target_label, replacement: raw.replacement, action: raw.action };
        // Here it becomes a problem with its position.
        createRelabelRule(config);
        return config;
      },
    ),
  ),
  [],
);

/** Reads the file of `--alert.relabel-config` as data that may travel to another thread. @throws ConfigError with line and column */
export function parseAlertRelabel(text: string, source: string): readonly RelabelConfig[] {
  return decodeYaml(text, RELABEL, source);
}

/** Compiles what {@link parseAlertRelabel} gave. */
export function compileRelabel(configs: readonly RelabelConfig[]): readonly RelabelRule[] {
  return configs.map((config) => createRelabelRule(config));
}
