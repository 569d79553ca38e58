/**
 * The file of `--http.config`: TLS, headers and basic authentication of the HTTP server, in the format all Prometheus exporters share.
 *
 *   tls_server_config: {cert_file, key_file, client_auth_type, client_ca_file, min_version, …}
 *   http_server_config: {headers: {X-Frame-Options: deny}}
 *   basic_auth_users: {alice: $2y$10$…}
 *
 * Relative paths are relative to the file. Source: prometheus/exporter-toolkit docs/web-configuration.md.
 */
import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import * as schema from './config-schema.ts';
import { type Schema, decodeYaml } from './config-yaml.ts';
import { ServiceKitError, errorText } from './errors.ts';
import type { Secret } from './secret.ts';
import { type ServerTlsOptions, curveList, cipherList, tlsVersion } from './tls.ts';

/** Whether clients must show certificates, and whether those are checked. Go's names. */
export const CLIENT_AUTH_TYPES = ['NoClientCert', 'RequestClientCert', 'RequireClientCert', 'RequireAnyClientCert', 'VerifyClientCertIfGiven', 'RequireAndVerifyClientCert'] as const;
/** One of {@link CLIENT_AUTH_TYPES}. */
export type ClientAuthType = (typeof CLIENT_AUTH_TYPES)[number];

/** A web configuration. */
export interface WebConfig {
  /** Undefined: plain HTTP. */
  readonly tls: ServerTlsOptions | undefined;
  readonly clientAuth: ClientAuthType;
  /** Headers of every answer. */
  readonly headers: ReadonlyMap<string, string>;
  /** User → bcrypt hash; empty: no authentication. */
  readonly users: ReadonlyMap<string, Secret>;
}

/** No TLS, no users. */
export const EMPTY_WEB_CONFIG: WebConfig = { tls: undefined, clientAuth: 'NoClientCert', headers: new Map(), users: new Map() };

const text = (): Schema<string> => schema.withDefault(schema.string(), '');
const texts = (): Schema<readonly string[]> => schema.withDefault(schema.list(schema.string()), []);
const HEADER_NAMES = ['Content-Security-Policy', 'X-Frame-Options', 'X-Content-Type-Options', 'X-XSS-Protection', 'Strict-Transport-Security'];

const webSchema = schema.orEmpty({
  tls_server_config: schema.optional(
    schema.object({
      cert: text(),
      key: schema.optional(schema.secret()),
      client_ca: text(),
      cert_file: text(),
      key_file: text(),
      client_ca_file: text(),
      client_auth_type: schema.withDefault(schema.oneOf(CLIENT_AUTH_TYPES), undefined),
      client_allowed_sans: texts(),
      cipher_suites: schema.mapped(texts(), (names) => (cipherList(names), names)),
      curve_preferences: schema.mapped(texts(), (names) => (curveList(names), names)),
      min_version: schema.withDefault(schema.mapped(schema.string(), (name) => (tlsVersion(name), name)), 'TLS12'),
      max_version: schema.withDefault(schema.mapped(schema.string(), (name) => (tlsVersion(name), name)), 'TLS13'),
      prefer_server_cipher_suites: schema.withDefault(schema.bool(), true),
    }),
  ),
  http_server_config: schema.orEmpty({
    http2: schema.withDefault(schema.bool(), true),
    headers: schema.withDefault(schema.map(schema.string()), new Map<string, string>()),
  }),
  basic_auth_users: schema.withDefault(schema.map(schema.secret()), new Map<string, Secret>()),
});

/** Reads the file. An empty path gives {@link EMPTY_WEB_CONFIG}. @throws ConfigError, ServiceKitError ERR_FILE_READ */
export function readWebConfig(path: string): WebConfig {
  if (path === '') return EMPTY_WEB_CONFIG;
  let content: string;
  try {
    content = readFileSync(path, 'utf8');
  } catch (error) {
    throw new ServiceKitError('ERR_FILE_READ', `load web configuration ${path}: ${errorText(error)}`, error);
  }
  return parseWebConfig(content, path);
}

/** Reads a web configuration text. @param path of the file, for messages and relative paths */
export function parseWebConfig(content: string, path: string): WebConfig {
  const config = decodeYaml(content, webSchema, path);
  const { headers } = config.http_server_config;
  for (const name of headers.keys()) {
    if (!HEADER_NAMES.includes(name)) throw new ServiceKitError('ERR_CONFIG', `${path}: HTTP header "${name}" cannot be configured, wanted one of ${HEADER_NAMES.join(', ')}`);
  }
  for (const [user, hash] of config.basic_auth_users) {
    if (!/^\$2[abxy]\$\d\d\$[./A-Za-z0-9]{53}$/.test(hash.reveal())) throw new ServiceKitError('ERR_CONFIG', `${path}: basic_auth_users: password of "${user}" is not a bcrypt hash`);
  }
  const tls = config.tls_server_config;
  if (tls === undefined) return { ...EMPTY_WEB_CONFIG, headers, users: config.basic_auth_users };
  if (tls.client_allowed_sans.length > 0) throw new ServiceKitError('ERR_UNSUPPORTED', `${path}: tls_server_config.client_allowed_sans is not supported`);
  const absolute = (file: string): string => (file === '' ? '' : resolve(dirname(path), file));
  const hasClientCa = tls.client_ca !== '' || tls.client_ca_file !== '';
  const clientAuth = tls.client_auth_type ?? (hasClientCa ? 'RequireAndVerifyClientCert' : 'NoClientCert');
  if (hasClientCa && clientAuth === 'NoClientCert') throw new ServiceKitError('ERR_TLS', `${path}: a client CA is given, but client_auth_type is NoClientCert`);
  return {
    tls: {
      certFile: absolute(tls.cert_file),
      keyFile: absolute(tls.key_file),
      clientCaFile: absolute(tls.client_ca_file),
      minVersion: tls.min_version,
      maxVersion: tls.max_version,
      ciphers: tls.cipher_suites,
      curves: tls.curve_preferences,
      inline: { cert: tls.cert, key: tls.key?.reveal() ?? '', clientCa: tls.client_ca },
    },
    clientAuth,
    headers,
    users: config.basic_auth_users,
  };
}
