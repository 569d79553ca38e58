/**
 * Which query API servers rules are evaluated over: `--query.config`, or `--query` and `--query.sd-files`.
 * Source: Thanos pkg/clientconfig/config.go, cmd/thanos/rule.go.
 */
import { decodeYaml, DEFAULT_HTTP_CLIENT, type HttpClientSettings, httpClientSchema, schema, type Schema } from '@gauntlet/service-kit';
import { RulerError } from './errors.ts';
import type { RulerConfig } from './flags.ts';
import { ENDPOINT_FIELDS, endpointsOfAddress, endpointsOfEntry, type EndpointsEntry, type HttpEndpointsConfig } from './http-endpoints.ts';

interface QueryEntry extends EndpointsEntry {
  readonly http_config: HttpClientSettings;
  readonly grpc_config: { readonly endpoint_addresses: readonly string[] } | undefined;
}

const FORMAT: Schema<readonly QueryEntry[]> = schema.withDefault(
  schema.list(
    schema.object({
      http_config: httpClientSchema(),
      ...ENDPOINT_FIELDS,
      grpc_config: schema.optional(schema.object({ endpoint_addresses: schema.withDefault(schema.list(schema.string()), []) })),
    }),
  ),
  [],
);

/**
 * Reads the file of `--query.config`.
 * @param source file name for messages
 * @throws ConfigError with line and column; RulerError ERR_CONFIG for `grpc_config`
 */
export function parseQueryConfig(text: string, source: string): readonly HttpEndpointsConfig[] {
  return decodeYaml(text, FORMAT, source).flatMap((entry, i) => {
    if ((entry.grpc_config?.endpoint_addresses.length ?? 0) > 0) throw new RulerError('ERR_CONFIG', `${source}: entry ${i + 1}: grpc_config is not there yet; use static_configs or file_sd_configs with the HTTP addresses of queriers`);
    return entry.static_configs.length + entry.file_sd_configs.length === 0 ? [] : [endpointsOfEntry(entry, entry.http_config)];
  });
}

/**
 * All query API servers of the flags.
 * @throws RulerError ERR_CONFIG for flags that exclude each other, or none; ConfigError
 */
export function queryEndpoints(config: RulerConfig): readonly HttpEndpointsConfig[] {
  if (config.grpcQueryEndpoints.length > 0) throw new RulerError('ERR_CONFIG', '--grpc-query-endpoint: evaluation over the gRPC query API is not there yet; use --query with the HTTP addresses of queriers');
  const seen = new Set<string>();
  for (const address of config.queryAddresses) {
    if (seen.has(address)) throw new RulerError('ERR_CONFIG', `Address ${address} is duplicated for --query flag.`);
    seen.add(address);
  }
  const text = config.queryConfig.content();
  const hasFlags = config.queryAddresses.length + config.querySdFiles.length > 0;
  if (!hasFlags && text.trim() === '') throw new RulerError('ERR_CONFIG', 'no query configuration parameter was given: wanted --query, --query.sd-files or --query.config');
  if (hasFlags && text.trim() !== '') throw new RulerError('ERR_CONFIG', '--query/--query.sd-files and --query.config* parameters cannot be defined at the same time');
  if (text.trim() !== '') return parseQueryConfig(text, config.queryConfig.source);
  const found = config.queryAddresses.map((address) => endpointsOfAddress(address, 'query', { needsScheme: false }));
  if (config.querySdFiles.length > 0) {
    found.push({ client: DEFAULT_HTTP_CLIENT, scheme: 'http', pathPrefix: '', addresses: [], files: [{ paths: config.querySdFiles, refreshMs: config.querySdIntervalMs }] });
  }
  return found;
}
