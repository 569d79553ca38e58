/** TLS towards one endpoint, as plain data that travels to workers. Apart from endpoint-config.ts, whose YAML reader workers do not need. */
import type { ClientTlsOptions } from '@gauntlet/service-kit/grpc-client';

/** TLS towards one endpoint: off, or where its material is. */
export interface EndpointTls extends ClientTlsOptions {
  readonly enabled: boolean;
}
