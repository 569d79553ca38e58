/**
 * The file of `--prometheus.http-client`: credentials, TLS and transport of the connection to Prometheus. Unknown keys are errors
 * with line and column. The format is that of every `http_config`; see service-kit's http-client-config.ts.
 */
import { readFileSync } from 'node:fs';
import { decodeYaml, httpClientSchema } from '@gauntlet/service-kit';
import { openTransport, type PrometheusTransport, type TransportSettings } from './prometheus-transport.ts';

/**
 * Reads the configuration and the certificate files it names.
 * @param text YAML, `''` for the defaults
 * @param source file name for errors
 * @throws ConfigError with line and column, also for what is not supported
 */
export function readTransportSettings(text: string, source: string): TransportSettings {
  const { credentials, tls, freeSocketsMax, socketsMax, idleTimeoutMs, headerTimeoutMs } = decodeYaml(text.trim() === '' ? '{}' : text, httpClientSchema(), source);
  return {
    credentials,
    tls: {
      rejectUnauthorized: !tls.skipVerify,
      ...(tls.caFile === '' ? {} : { ca: readFileSync(tls.caFile, 'utf8') }),
      ...(tls.certFile === '' ? {} : { cert: readFileSync(tls.certFile, 'utf8') }),
      ...(tls.keyFile === '' ? {} : { key: readFileSync(tls.keyFile, 'utf8') }),
      ...(tls.serverName === '' ? {} : { servername: tls.serverName }),
    },
    freeSocketsMax,
    socketsMax,
    idleTimeoutMs,
    headerTimeoutMs,
  };
}

/** A transport from a configuration; see {@link readTransportSettings}. */
export function createPrometheusTransport(text: string, source: string): PrometheusTransport {
  return openTransport(readTransportSettings(text, source));
}
