/**
 * The flags all components share, in groups to spread into a component's table:
 *
 *   const flags = { ...commonFlags, ...httpFlags, ...grpcServerFlags, tsdbPath: stringFlag('tsdb.path', …) };
 *
 * Names and defaults as `thanos <component> --help` shows them. Source: thanos.md 2.1 and 2.5.
 */
import { type Flag, boolFlag, durationFlag, enumFlag, floatFlag, pathOrContentFlag, stringFlag, stringsFlag } from './flags.ts';
import type { GrpcServerOptions } from './grpc-server.ts';
import { LOG_FORMATS, type LogFormat, type LogLevel } from './log.ts';
import type { PathOrContent } from './path-or-content.ts';

/** TLS versions the flags take. */
export const TLS_VERSIONS = ['1.0', '1.1', '1.2', '1.3'] as const;
/** One of {@link TLS_VERSIONS}. */
export type TlsVersion = (typeof TLS_VERSIONS)[number];

/** Flags of every component: logging, tracing, memory. */
export interface CommonFlags {
  readonly debugName: Flag<string>;
  readonly logLevel: Flag<LogLevel>;
  readonly logFormat: Flag<LogFormat>;
  readonly tracingConfig: Flag<PathOrContent>;
  readonly enableAutoGomemlimit: Flag<boolean>;
  readonly autoGomemlimitRatio: Flag<number>;
  readonly enableAutoGomaxprocs: Flag<boolean>;
}

/** See {@link CommonFlags}. */
export const commonFlags: CommonFlags = {
  debugName: stringFlag('debug.name', { help: 'Name to add to log lines.', hidden: true }),
  logLevel: enumFlag('log.level', ['error', 'warn', 'info', 'debug'], { default: 'info', help: 'Least level of log lines that are written: error, warn, info or debug.' }),
  logFormat: enumFlag('log.format', LOG_FORMATS, { default: 'logfmt', help: 'Format of log lines: logfmt, json or journald.' }),
  tracingConfig: pathOrContentFlag('tracing.config', { help: 'YAML file with tracing configuration; the format is that of Thanos, type OTLP.', secret: true }),
  enableAutoGomemlimit: boolFlag('enable-auto-gomemlimit', { help: 'Accepted for compatibility; memory budgets come from the container limit in any case.' }),
  autoGomemlimitRatio: floatFlag('auto-gomemlimit.ratio', { default: 0.9, help: 'Accepted for compatibility; has no effect.' }),
  enableAutoGomaxprocs: boolFlag('enable-auto-gomaxprocs', { help: 'Accepted for compatibility; has no effect.', hidden: true }),
};

/** Flag of components that log requests. */
export interface RequestLoggingFlags {
  readonly requestLoggingConfig: Flag<PathOrContent>;
}

/** See {@link RequestLoggingFlags}. */
export const requestLoggingFlags: RequestLoggingFlags = {
  requestLoggingConfig: pathOrContentFlag('request.logging-config', { help: 'YAML file that says which HTTP and gRPC requests are logged.' }),
};

/** Flags of the HTTP server. */
export interface HttpFlags {
  readonly httpAddress: Flag<string>;
  readonly httpGracePeriodMs: Flag<number>;
  readonly httpConfig: Flag<string>;
}

/** See {@link HttpFlags}. */
export const httpFlags: HttpFlags = {
  httpAddress: stringFlag('http-address', { default: '0.0.0.0:10902', help: 'Listen host:port for HTTP endpoints.' }),
  httpGracePeriodMs: durationFlag('http-grace-period', { default: '2m', help: 'Time to wait for running HTTP requests after an interrupt.' }),
  httpConfig: stringFlag('http.config', { default: '', help: 'Path to a configuration file that turns on TLS or basic authentication for all HTTP endpoints (the web configuration file of Prometheus exporters).' }),
};

/** Flags of the gRPC server. */
export interface GrpcServerFlags {
  readonly grpcAddress: Flag<string>;
  readonly grpcServerTlsCert: Flag<string>;
  readonly grpcServerTlsKey: Flag<string>;
  readonly grpcServerTlsClientCa: Flag<string>;
  readonly grpcServerTlsMinVersion: Flag<TlsVersion>;
  readonly grpcServerTlsCiphers: Flag<readonly string[]>;
  readonly grpcServerTlsCurves: Flag<readonly string[]>;
  readonly grpcServerMaxConnectionAgeMs: Flag<number>;
  readonly grpcGracePeriodMs: Flag<number>;
}

/** See {@link GrpcServerFlags}. */
export const grpcServerFlags: GrpcServerFlags = {
  grpcAddress: stringFlag('grpc-address', { default: '0.0.0.0:10901', help: 'Listen ip:port for gRPC endpoints (StoreAPI). Other components must be able to reach it.' }),
  grpcServerTlsCert: stringFlag('grpc-server-tls-cert', { default: '', help: 'TLS certificate of the gRPC server; blank for no TLS.' }),
  grpcServerTlsKey: stringFlag('grpc-server-tls-key', { default: '', help: 'TLS key of the gRPC server; blank for no TLS.' }),
  grpcServerTlsClientCa: stringFlag('grpc-server-tls-client-ca', { default: '', help: 'TLS CA that client certificates must come from. Blank: clients are not verified.' }),
  grpcServerTlsMinVersion: enumFlag('grpc-server-tls-min-version', TLS_VERSIONS, { default: '1.3', help: 'Least TLS version of the gRPC server: 1.0, 1.1, 1.2 or 1.3.' }),
  grpcServerTlsCiphers: stringsFlag('grpc-server-tls-ciphers', { help: 'TLS cipher suites of the gRPC server, names as in Go (repeatable). Blank: the default ones.' }),
  grpcServerTlsCurves: stringsFlag('grpc-server-tls-curves', { help: 'TLS curves of the gRPC server (repeatable): CurveP256, CurveP384, CurveP521, X25519. Blank: the default ones.' }),
  grpcServerMaxConnectionAgeMs: durationFlag('grpc-server-max-connection-age', { default: '60m', help: 'Age after which gRPC connections are closed, so that clients connect anew and redo TLS handshakes.' }),
  grpcGracePeriodMs: durationFlag('grpc-grace-period', { default: '2m', help: 'Time to wait for running gRPC calls after an interrupt.' }),
};

const GRPC_CLIENT_DEPRECATED = 'use --endpoint.sd-config, where each endpoint has its own client_config';

/** Flags of gRPC clients. */
export interface GrpcClientFlags {
  readonly grpcClientTlsSecure: Flag<boolean>;
  readonly grpcClientTlsSkipVerify: Flag<boolean>;
  readonly grpcClientTlsCert: Flag<string>;
  readonly grpcClientTlsKey: Flag<string>;
  readonly grpcClientTlsCa: Flag<string>;
  readonly grpcClientServerName: Flag<string>;
  readonly grpcCompression: Flag<'none' | 'snappy'>;
  readonly grpcClientTlsMinVersion: Flag<TlsVersion>;
}

/** See {@link GrpcClientFlags}. */
export const grpcClientFlags: GrpcClientFlags = {
  grpcClientTlsSecure: boolFlag('grpc-client-tls-secure', { help: 'Use TLS when talking to gRPC servers.', deprecated: GRPC_CLIENT_DEPRECATED }),
  grpcClientTlsSkipVerify: boolFlag('grpc-client-tls-skip-verify', { help: 'Do not verify TLS certificates of gRPC servers.', deprecated: GRPC_CLIENT_DEPRECATED }),
  grpcClientTlsCert: stringFlag('grpc-client-tls-cert', { default: '', help: 'TLS certificate this client shows to gRPC servers.', deprecated: GRPC_CLIENT_DEPRECATED }),
  grpcClientTlsKey: stringFlag('grpc-client-tls-key', { default: '', help: 'TLS key for that certificate.', deprecated: GRPC_CLIENT_DEPRECATED }),
  grpcClientTlsCa: stringFlag('grpc-client-tls-ca', { default: '', help: 'TLS CA to verify gRPC servers with.', deprecated: GRPC_CLIENT_DEPRECATED }),
  grpcClientServerName: stringFlag('grpc-client-server-name', { default: '', help: 'Server name expected in certificates of gRPC servers.', deprecated: GRPC_CLIENT_DEPRECATED }),
  grpcCompression: enumFlag('grpc-compression', ['none', 'snappy'], { default: 'none', help: 'Compression of gRPC requests: none. snappy is refused at start, since the gRPC library has no framed snappy.', deprecated: GRPC_CLIENT_DEPRECATED }),
  grpcClientTlsMinVersion: enumFlag('grpc-client-tls-min-version', TLS_VERSIONS, { default: '1.3', help: 'Least TLS version towards gRPC servers: 1.0, 1.1, 1.2 or 1.3.', deprecated: GRPC_CLIENT_DEPRECATED }),
};

/** Values of {@link GrpcServerFlags}. */
export type GrpcServerValues = { readonly [Name in keyof GrpcServerFlags]: GrpcServerFlags[Name] extends Flag<infer Value> ? Value : never };

/** What a gRPC server takes from its flags; to spread into the options of `createGrpcServer`. */
export function grpcServerSettings(values: GrpcServerValues): Pick<GrpcServerOptions, 'address' | 'gracePeriodMs' | 'maxConnectionAgeMs' | 'tls'> {
  return {
    address: values.grpcAddress,
    gracePeriodMs: values.grpcGracePeriodMs,
    maxConnectionAgeMs: values.grpcServerMaxConnectionAgeMs,
    tls: {
      certFile: values.grpcServerTlsCert,
      keyFile: values.grpcServerTlsKey,
      clientCaFile: values.grpcServerTlsClientCa,
      minVersion: values.grpcServerTlsMinVersion,
      ciphers: values.grpcServerTlsCiphers,
      curves: values.grpcServerTlsCurves,
    },
  };
}

/** Flags of the object store. @param suffix for components with two stores, such as `-to` */
export function objstoreFlag(required: boolean, suffix = ''): Flag<PathOrContent> {
  return pathOrContentFlag(`objstore${suffix}.config`, { help: `YAML file that contains object store${suffix} configuration; the format is that of Thanos.`, required, secret: true });
}

/** Relabelling that selects blocks or stores. */
export function selectorRelabelFlag(what: string): Flag<PathOrContent> {
  return pathOrContentFlag('selector.relabel-config', { help: `YAML file with relabelling configuration that selects ${what} by external labels.` });
}
