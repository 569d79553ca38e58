/** TLS towards one endpoint, as plain data that travels to workers. Apart from endpoint-config.ts, whose YAML reader workers do not need. */
import type { ClientTlsOptions } from '@gauntlet/service-kit/grpc-client';

/** TLS towards one endpoint. */
export interface EndpointTls {
  readonly enabled: boolean;
  readonly skipVerify: boolean;
  readonly certFile: string;
  readonly keyFile: string;
  readonly caFile: string;
  readonly serverName: string;
  readonly minVersion: string;
}

/** The options of service-kit's TLS reader. */
export function clientTlsOptions(tls: EndpointTls): ClientTlsOptions {
  return {
    skipVerify: tls.skipVerify,
    certFile: tls.certFile,
    keyFile: tls.keyFile,
    caFile: tls.caFile,
    serverName: tls.serverName,
    minVersion: tls.minVersion,
  } as ClientTlsOptions;
}
