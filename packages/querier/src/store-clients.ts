/**
 * gRPC clients by endpoint, opened when first asked for and closed when idle. The main thread keeps them for health checks, each
 * query worker for the endpoints its queries select.
 */
import { openGrpcChannel } from '@gauntlet/service-kit/grpc-client';
import { GrpcStoreClient } from '@gauntlet/storeapi';
import type { EndpointTls } from './endpoint-tls.ts';

/** How to reach one endpoint; travels to workers as it is. */
export interface EndpointTarget {
  /** What the endpoint is called: its address, or the group's name. */
  readonly address: string;
  /** Resolved addresses behind a group, which share the calls; one for a plain endpoint. */
  readonly members: readonly string[];
  readonly tls: EndpointTls;
}

/** A client of an endpoint. @throws ServiceKitError ERR_TLS when its certificate files cannot be read */
export function openStoreClient({ members, tls }: EndpointTarget): GrpcStoreClient {
  const channel = openGrpcChannel({ address: members, ...(tls.enabled ? { tls } : {}) });
  return new GrpcStoreClient(channel);
}

interface CachedClient {
  readonly client: GrpcStoreClient;
  readonly key: string;
  lastUsedMs: number;
}

/** See the head of this file. */
export class StoreClients {
  readonly #clients = new Map<string, CachedClient>();
  readonly #clock: () => number;

  /** @param clock unix ms */
  constructor(clock: () => number) {
    this.#clock = clock;
  }

  /** The client of an endpoint, the same one as long as its target stays the same. */
  get(target: EndpointTarget): GrpcStoreClient {
    const key = JSON.stringify([target.members, target.tls]);
    const known = this.#clients.get(target.address);
    if (known !== undefined && known.key === key) {
      known.lastUsedMs = this.#clock();
      return known.client;
    }
    known?.client.channel.close();
    const client = openStoreClient(target);
    this.#clients.set(target.address, { client, key, lastUsedMs: this.#clock() });
    return client;
  }

  /** Closes clients that were not asked for since `idleMs`. */
  closeIdle(idleMs: number): void {
    const limit = this.#clock() - idleMs;
    for (const [address, { client, lastUsedMs }] of this.#clients) {
      if (lastUsedMs > limit) continue;
      client.channel.close();
      this.#clients.delete(address);
    }
  }

  /** Closes the client of an endpoint. */
  close(address: string): void {
    this.#clients.get(address)?.client.channel.close();
    this.#clients.delete(address);
  }

  closeAll(): void {
    for (const address of this.#clients.keys()) this.close(address);
  }
}
