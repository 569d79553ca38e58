/**
 * The file of `--prometheus.http-client`: credentials, TLS and transport of the connection to Prometheus. Unknown keys are errors
 * with line and column. Source of the format: Thanos pkg/clientconfig/http.go.
 */
import { readFileSync } from 'node:fs';
import { decodeYaml, schema } from '@gauntlet/service-kit';
import { SidecarError } from './errors.ts';
import { openTransport, type PrometheusTransport, type TransportCredentials, type TransportSettings } from './prometheus-transport.ts';

const FORMAT = schema.object({
  basic_auth: schema.orEmpty({
    username: schema.withDefault(schema.string(), ''),
    password: schema.optional(schema.secret()),
    password_file: schema.withDefault(schema.string(), ''),
  }),
  bearer_token: schema.optional(schema.secret()),
  bearer_token_file: schema.withDefault(schema.string(), ''),
  proxy_url: schema.withDefault(schema.string(), ''),
  tls_config: schema.orEmpty({
    ca_file: schema.withDefault(schema.string(), ''),
    cert_file: schema.withDefault(schema.string(), ''),
    key_file: schema.withDefault(schema.string(), ''),
    server_name: schema.withDefault(schema.string(), ''),
    insecure_skip_verify: schema.withDefault(schema.bool(), false),
  }),
  transport_config: schema.orEmpty({
    max_idle_conns: schema.withDefault(schema.int(), 100),
    max_idle_conns_per_host: schema.withDefault(schema.int(), 2),
    idle_conn_timeout: schema.withDefault(schema.duration(), 90_000),
    response_header_timeout: schema.withDefault(schema.duration(), 0),
    expect_continue_timeout: schema.withDefault(schema.duration(), 10_000),
    max_conns_per_host: schema.withDefault(schema.int(), 0),
    disable_compression: schema.withDefault(schema.bool(), false),
    tls_handshake_timeout: schema.withDefault(schema.duration(), 10_000),
    dialer_timeout: schema.withDefault(schema.duration(), 5_000),
  }),
});

/**
 * Reads the configuration and the certificate files it names.
 * @param text YAML, `''` for the defaults
 * @param source file name for errors
 * @throws ConfigError with line and column; SidecarError ERR_SIDECAR_CONFIG for what is not supported
 */
export function readTransportSettings(text: string, source: string): TransportSettings {
  const config = decodeYaml(text.trim() === '' ? '{}' : text, FORMAT, source);
  if (config.proxy_url !== '') throw new SidecarError('ERR_SIDECAR_CONFIG', `${source}: proxy_url is not supported yet`);
  const { basic_auth: basic, tls_config: tls, transport_config: transport } = config;
  const kinds = [basic.username !== '', config.bearer_token !== undefined, config.bearer_token_file !== ''].filter(Boolean).length;
  if (kinds > 1) throw new SidecarError('ERR_SIDECAR_CONFIG', `${source}: at most one of basic_auth, bearer_token and bearer_token_file may be set`);
  const credentials = (): TransportCredentials => {
    if (basic.username !== '') {
      return basic.password_file === '' ? { kind: 'basic', username: basic.username, password: basic.password?.reveal() ?? '' } : { kind: 'basicFile', username: basic.username, passwordFile: basic.password_file };
    }
    if (config.bearer_token_file !== '') return { kind: 'bearerFile', tokenFile: config.bearer_token_file };
    return config.bearer_token === undefined ? { kind: 'none' } : { kind: 'bearer', token: config.bearer_token.reveal() };
  };
  return {
    credentials: credentials(),
    tls: {
      rejectUnauthorized: !tls.insecure_skip_verify,
      ...(tls.ca_file === '' ? {} : { ca: readFileSync(tls.ca_file, 'utf8') }),
      ...(tls.cert_file === '' ? {} : { cert: readFileSync(tls.cert_file, 'utf8') }),
      ...(tls.key_file === '' ? {} : { key: readFileSync(tls.key_file, 'utf8') }),
      ...(tls.server_name === '' ? {} : { servername: tls.server_name }),
    },
    freeSocketsMax: transport.max_idle_conns_per_host,
    socketsMax: transport.max_conns_per_host,
    idleTimeoutMs: transport.idle_conn_timeout,
    headerTimeoutMs: transport.response_header_timeout,
  };
}

/** A transport from a configuration; see {@link readTransportSettings}. */
export function createPrometheusTransport(text: string, source: string): PrometheusTransport {
  return openTransport(readTransportSettings(text, source));
}
