/**
 * How to reach servers over HTTP, as configuration files say it (`http_config` of query and Alertmanager configurations):
 *
 *   basic_auth: {username, password, password_file}   bearer_token   bearer_token_file
 *   tls_config: {ca_file, cert_file, key_file, server_name, insecure_skip_verify}
 *   transport_config: {max_idle_conns_per_host, idle_conn_timeout, response_header_timeout, max_conns_per_host, …}
 *
 * The result is plain data that may travel to another thread. Source of the format: Thanos pkg/clientconfig/http.go.
 */
import * as schema from './config-schema.ts';
import type { Schema } from './config-yaml.ts';
import { ServiceKitError } from './errors.ts';

/** Who we are to a server. Files are read anew for each request, since they may change. */
export type HttpCredentials =
  | { readonly kind: 'none' }
  | { readonly kind: 'basic'; readonly username: string; readonly password: string }
  | { readonly kind: 'basicFile'; readonly username: string; readonly passwordFile: string }
  | { readonly kind: 'bearer'; readonly token: string }
  | { readonly kind: 'bearerFile'; readonly tokenFile: string };

/** What an HTTP client is made of; it can be sent to another thread, and holds secrets in the clear. Empty texts mean "not given". */
export interface HttpClientSettings {
  readonly credentials: HttpCredentials;
  readonly tls: { readonly caFile: string; readonly certFile: string; readonly keyFile: string; readonly serverName: string; readonly skipVerify: boolean };
  /** Idle connections kept per host. */
  readonly freeSocketsMax: number;
  /** Connections per host; 0 has no limit. */
  readonly socketsMax: number;
  readonly idleTimeoutMs: number;
  /** Most time until the head of an answer, ms; 0 has no limit. */
  readonly headerTimeoutMs: number;
  readonly compression: boolean;
}

const text = schema.withDefault(schema.string(), '');

const FIELDS = {
  basic_auth: schema.orEmpty({ username: text, password: schema.optional(schema.secret()), password_file: text }),
  bearer_token: schema.optional(schema.secret()),
  bearer_token_file: text,
  proxy_url: text,
  tls_config: schema.orEmpty({ ca_file: text, cert_file: text, key_file: text, server_name: text, insecure_skip_verify: schema.withDefault(schema.bool(), false) }),
  transport_config: schema.orEmpty({
    max_idle_conns: schema.withDefault(schema.int(), 100),
    max_idle_conns_per_host: schema.withDefault(schema.int({ min: 0 }), 2),
    idle_conn_timeout: schema.withDefault(schema.duration(), 90_000),
    response_header_timeout: schema.withDefault(schema.duration(), 0),
    expect_continue_timeout: schema.withDefault(schema.duration(), 10_000),
    max_conns_per_host: schema.withDefault(schema.int({ min: 0 }), 0),
    disable_compression: schema.withDefault(schema.bool(), false),
    tls_handshake_timeout: schema.withDefault(schema.duration(), 10_000),
    dialer_timeout: schema.withDefault(schema.duration(), 5_000),
  }),
};

/** Settings of a client that was configured nowhere. */
export const DEFAULT_HTTP_CLIENT: HttpClientSettings = {
  credentials: { kind: 'none' },
  tls: { caFile: '', certFile: '', keyFile: '', serverName: '', skipVerify: false },
  freeSocketsMax: 2,
  socketsMax: 0,
  idleTimeoutMs: 90_000,
  headerTimeoutMs: 0,
  compression: true,
};

/** Reads an `http_config`; absent or null gives the defaults. What is not supported, or given twice, is a problem at its position. */
export function httpClientSchema(): Schema<HttpClientSettings> {
  return schema.mapped(schema.orEmpty(FIELDS), toSettings);
}

function toSettings(config: schema.ObjectValue<typeof FIELDS>): HttpClientSettings {
  const refuse = (why: string): never => {
    throw new ServiceKitError('ERR_CONFIG', why);
  };
  if (config.proxy_url !== '') refuse('proxy_url is not supported yet');
  const { basic_auth: basic, tls_config: tls, transport_config: transport } = config;
  const password = basic.password?.reveal() ?? '';
  const hasBasic = basic.username !== '' || password !== '' || basic.password_file !== '';
  const token = config.bearer_token?.reveal() ?? '';
  if ([hasBasic, token !== '', config.bearer_token_file !== ''].filter(Boolean).length > 1) refuse('at most one of basic_auth, bearer_token and bearer_token_file may be set');
  if (password !== '' && basic.password_file !== '') refuse('at most one of password and password_file of basic_auth may be set');
  if ((tls.cert_file === '') !== (tls.key_file === '')) refuse('cert_file and key_file of tls_config go together');
  const credentials = (): HttpCredentials => {
    if (hasBasic) return basic.password_file === '' ? { kind: 'basic', username: basic.username, password } : { kind: 'basicFile', username: basic.username, passwordFile: basic.password_file };
    if (config.bearer_token_file !== '') return { kind: 'bearerFile', tokenFile: config.bearer_token_file };
    return token === '' ? { kind: 'none' } : { kind: 'bearer', token };
  };
  return {
    credentials: credentials(),
    tls: { caFile: tls.ca_file, certFile: tls.cert_file, keyFile: tls.key_file, serverName: tls.server_name, skipVerify: tls.insecure_skip_verify },
    freeSocketsMax: transport.max_idle_conns_per_host,
    socketsMax: transport.max_conns_per_host,
    idleTimeoutMs: transport.idle_conn_timeout,
    headerTimeoutMs: transport.response_header_timeout,
    compression: !transport.disable_compression,
  };
}
