/**
 * Which endpoints there are, from flags and files: plain addresses, strict ones, groups, `--endpoint.sd-config`, `--store.sd-files`.
 * What is found here still has its DNS prefix; endpoint-set.ts resolves and asks.
 */
import { ServiceKitError, decodeYaml, isDynamicAddress, schema, type Schema } from '@gauntlet/service-kit';
import type { EndpointTls } from './endpoint-tls.ts';
import type { QuerierConfig } from './flags.ts';

/** One configured endpoint. */
export interface EndpointSpec {
  /** As written, with its DNS prefix if any. */
  readonly address: string;
  /** Used even while its health check fails. */
  readonly isStrict: boolean;
  /** One logical endpoint over all addresses behind the name. */
  readonly isGroup: boolean;
  readonly tls: EndpointTls;
}

interface ClientConfigYaml {
  readonly tls_config: { readonly enabled: boolean; readonly insecure_skip_verify: boolean; readonly cert_file: string; readonly key_file: string; readonly ca_file: string; readonly min_version: string } | undefined;
  readonly server_name: string;
  readonly compression: string;
}

const clientConfig: Schema<ClientConfigYaml> = schema.object({
  tls_config: schema.optional(
    schema.object({
      enabled: schema.withDefault(schema.bool(), true),
      insecure_skip_verify: schema.withDefault(schema.bool(), false),
      cert_file: schema.withDefault(schema.string(), ''),
      key_file: schema.withDefault(schema.string(), ''),
      ca_file: schema.withDefault(schema.string(), ''),
      min_version: schema.withDefault(schema.string(), '1.3'),
    }),
  ),
  server_name: schema.withDefault(schema.string(), ''),
  compression: schema.withDefault(schema.oneOf(['none']), 'none'),
});

const sdConfig: Schema<{
  readonly default_client_config: ClientConfigYaml | undefined;
  readonly endpoints: readonly { readonly address: string; readonly strict: boolean; readonly group: boolean; readonly service_config: string; readonly client_config: ClientConfigYaml | undefined }[];
}> = schema.object({
  default_client_config: schema.optional(clientConfig),
  endpoints: schema.withDefault(
    schema.list(
      schema.object({
        address: schema.string(),
        strict: schema.withDefault(schema.bool(), false),
        group: schema.withDefault(schema.bool(), false),
        service_config: schema.withDefault(schema.string(), ''),
        client_config: schema.optional(clientConfig),
      }),
    ),
    [],
  ),
});

function tlsOf(config: ClientConfigYaml | undefined): EndpointTls {
  const tls = config?.tls_config;
  return {
    enabled: tls?.enabled ?? false,
    skipVerify: tls?.insecure_skip_verify ?? false,
    certFile: tls?.cert_file ?? '',
    keyFile: tls?.key_file ?? '',
    caFile: tls?.ca_file ?? '',
    serverName: config?.server_name ?? '',
    minVersion: tls?.min_version ?? '1.3',
  };
}

/**
 * Endpoints of an sd-config text.
 * @throws ConfigError with file:line:column
 */
export function parseEndpointConfig(text: string, source: string): EndpointSpec[] {
  if (text.trim() === '') return [];
  const config = decodeYaml(text, sdConfig, source);
  return config.endpoints.map((endpoint) =>
    checkSpec({ address: endpoint.address, isStrict: endpoint.strict, isGroup: endpoint.group, tls: tlsOf(endpoint.client_config ?? config.default_client_config) }),
  );
}

function checkSpec(spec: EndpointSpec): EndpointSpec {
  if (spec.isStrict && !spec.isGroup && isDynamicAddress(spec.address)) {
    throw new ServiceKitError('ERR_CONFIG', `${spec.address} is a dynamically specified endpoint i.e. it uses SD and that is not permitted under strict mode`);
  }
  return spec;
}

/** TLS towards endpoints given by flags. */
export function tlsOfFlags(config: QuerierConfig): EndpointTls {
  return {
    enabled: config.grpcClientTlsSecure,
    skipVerify: config.grpcClientTlsSkipVerify,
    certFile: config.grpcClientTlsCert,
    keyFile: config.grpcClientTlsKey,
    caFile: config.grpcClientTlsCa,
    serverName: config.grpcClientServerName,
    minVersion: config.grpcClientTlsMinVersion,
  };
}

/** Endpoints given by flags. @throws ServiceKitError ERR_CONFIG for a strict endpoint with a DNS prefix */
export function endpointsOfFlags(config: QuerierConfig): EndpointSpec[] {
  const tls = tlsOfFlags(config);
  const specs = (addresses: readonly string[], isStrict: boolean, isGroup: boolean): EndpointSpec[] => addresses.map((address) => checkSpec({ address, isStrict, isGroup, tls }));
  return [
    ...specs(config.endpoints, false, false),
    ...specs(config.strictEndpoints, true, false),
    ...specs(config.endpointGroups, false, true),
    ...specs(config.strictEndpointGroups, true, true),
  ];
}
