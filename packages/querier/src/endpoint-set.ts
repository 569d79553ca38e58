/**
 * The endpoints a querier knows, kept current by asking each for its Info every 5 s:
 *
 *   configured ─resolve─► addresses ─Info─► healthy: queried
 *                                       └─► failed: shown as down, not asked (a strict one is) but missed: a warning; forgotten after the unhealthy timeout
 *
 * A new endpoint joins with its first good Info; a strict one is there from the start and, until it answers, may hold anything.
 * Source: Thanos cmd/thanos/endpointset.go, pkg/query/endpointset.go.
 */
import { type Labels, formatLabels } from '@gauntlet/model';
import { type InfoResponse, MAX_TIME_MS, MIN_TIME_MS } from '@gauntlet/proto';
import { type Gauge, type Logger, type Metrics, isDynamicAddress } from '@gauntlet/service-kit';
import { type CallOptions, type StoreInfo, infoFromMessage, labelsFromMessage } from '@gauntlet/storeapi';
import type { EndpointSpec } from './endpoint-config.ts';
import type { EndpointTarget } from './store-clients.ts';

/** DNS as the set needs it; service-kit's DnsProvider. */
export interface Resolver {
  resolve(addresses: readonly string[]): Promise<readonly Error[]>;
  addressesOf(address: string): readonly string[];
}

/** Clients as the set needs them; StoreClients. */
export interface EndpointClients {
  get(target: EndpointTarget): { fetchInfo(options: CallOptions): Promise<InfoResponse> };
  close(address: string): void;
  closeAll(): void;
}

export interface EndpointSetOptions {
  /** Read at every round. */
  readonly specs: () => readonly EndpointSpec[];
  readonly clients: EndpointClients;
  readonly resolver: Resolver;
  readonly infoTimeoutMs: number;
  readonly unhealthyTimeoutMs: number;
  readonly dnsIntervalMs: number;
  readonly clock: () => number;
  readonly log: Logger;
  readonly metrics: Metrics;
  /** Labels of thanos_store_nodes_grpc_connections. */
  readonly connMetricLabels: readonly string[];
}

/** Time between rounds. */
const UPDATE_INTERVAL_MS = 5000;
/** Longest label value of the connections metric, bytes; as Thanos cuts it. */
const METRIC_LABEL_MAX = 1000;

/** One endpoint as queries see it; travels to workers. */
export interface EndpointSnapshot {
  readonly target: EndpointTarget;
  /** What it announced of its Store API; without one, that it may hold anything. */
  readonly info: StoreInfo;
  /**
   * Why it is not asked: its last check failed. What it would have had is missing, and queries that it could have answered say so. Until
   * `--store.unhealthy-timeout`; then it is forgotten.
   */
  readonly unavailable?: string;
}

/** One endpoint as the stores page sees it. */
export interface EndpointStatus {
  readonly name: string;
  readonly componentType: string;
  /** Unix ms of the last good Info; 0 before the first. */
  readonly lastCheckMs: number;
  readonly lastError: string | null;
  readonly labelSets: readonly Labels[];
  readonly mint: number;
  readonly maxt: number;
}

interface Endpoint {
  target: EndpointTarget;
  isStrict: boolean;
  info: StoreInfo | undefined;
  componentType: string;
  labelSets: readonly Labels[];
  hasRules: boolean;
  hasExemplars: boolean;
  lastGoodMs: number;
  firstSeenMs: number;
  lastError: string | undefined;
}

const ANYTHING: StoreInfo = { labelSets: [], mint: MIN_TIME_MS, maxt: MAX_TIME_MS, storeType: 'unknown', supportsSharding: false, supportsWithoutReplicaLabels: false, tsdbInfos: [] };

export class EndpointSet {
  readonly #options: EndpointSetOptions;
  readonly #endpoints = new Map<string, Endpoint>();
  readonly #connections: Gauge;
  readonly #duplicates: { inc(count?: number): void };
  #timer: NodeJS.Timeout | undefined;
  #round: Promise<void> | undefined;
  #lastDnsMs = -Infinity;
  #warned = new Set<string>();
  #isStopped = false;

  constructor(options: EndpointSetOptions) {
    this.#options = options;
    this.#connections = options.metrics.gauge({
      name: 'thanos_store_nodes_grpc_connections',
      help: 'Number of gRPC connection to Store APIs. Opened connection means healthy store APIs available for Querier.',
      labels: [...options.connMetricLabels],
    });
    this.#duplicates = options.metrics.counter({ name: 'thanos_query_duplicated_endpoint_addresses_total', help: 'The number of times a duplicated store addresses is detected from the different configs in query.' });
  }

  /** Starts rounds; resolves when the first has ended. */
  async start(): Promise<void> {
    await this.update();
    const next = (): void => {
      if (this.#isStopped) return;
      this.#timer = setTimeout(() => void this.update().finally(next), UPDATE_INTERVAL_MS);
      this.#timer.unref();
    };
    next();
  }

  stop(): void {
    this.#isStopped = true;
    clearTimeout(this.#timer);
    this.#options.clients.closeAll();
  }

  /** One round; calls at the same time share it. */
  update(): Promise<void> {
    this.#round ??= this.#update().finally(() => {
      this.#round = undefined;
    });
    return this.#round;
  }

  /** Endpoints with a Store API that queries concern: those to ask, and those known but down. */
  snapshot(): EndpointSnapshot[] {
    const out: EndpointSnapshot[] = [];
    for (const { target, info, isStrict, lastError, lastGoodMs } of this.#endpoints.values()) {
      const isKnown = lastGoodMs > 0;
      if (isKnown && lastError === undefined) {
        if (info !== undefined) out.push({ target, info });
      } else if (isStrict) {
        out.push({ target, info: info ?? ANYTHING });
      } else if (isKnown && info !== undefined && lastError !== undefined) {
        out.push({ target, info, unavailable: lastError });
      }
    }
    return out;
  }

  /** Endpoints that announced rules: those to ask, and those known but down. */
  rulesSnapshot(): EndpointSnapshot[] {
    const out: EndpointSnapshot[] = [];
    for (const { target, info = ANYTHING, hasRules, isStrict, lastError } of this.#endpoints.values()) {
      if (!hasRules) continue;
      out.push(lastError === undefined || isStrict ? { target, info } : { target, info, unavailable: lastError });
    }
    return out;
  }

  /** Endpoints that announced exemplars: those to ask, and those known but down. */
  exemplarsSnapshot(): EndpointSnapshot[] {
    const out: EndpointSnapshot[] = [];
    for (const { target, info, labelSets, componentType, hasExemplars, isStrict, lastError } of this.#endpoints.values()) {
      if (!hasExemplars) continue;
      const known = info ?? { ...ANYTHING, labelSets, storeType: componentType };
      out.push(lastError === undefined || isStrict ? { target, info: known } : { target, info: known, unavailable: lastError });
    }
    return out;
  }

  /** Every endpoint, by address. */
  status(): EndpointStatus[] {
    return [...this.#endpoints.values()]
      .map((endpoint) => ({
        name: endpoint.target.address,
        componentType: endpoint.componentType,
        lastCheckMs: endpoint.lastGoodMs,
        lastError: endpoint.lastError ?? null,
        labelSets: endpoint.labelSets,
        mint: endpoint.info?.mint ?? MIN_TIME_MS,
        maxt: endpoint.info?.maxt ?? MAX_TIME_MS,
      }))
      .sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  async #update(): Promise<void> {
    const { clock, clients, log, unhealthyTimeoutMs } = this.#options;
    const targets = await this.#resolve();
    for (const [address, { target, isStrict }] of targets) {
      const known = this.#endpoints.get(address);
      if (known === undefined) {
        this.#endpoints.set(address, { target, isStrict, info: undefined, componentType: 'unknown', labelSets: [], hasRules: false, hasExemplars: false, lastGoodMs: 0, firstSeenMs: clock(), lastError: undefined });
      } else {
        known.target = target;
        known.isStrict = isStrict;
      }
    }
    for (const address of this.#endpoints.keys()) if (!targets.has(address)) this.#remove(address, 'is not configured any more');
    await Promise.allSettled([...this.#endpoints.values()].map((endpoint) => this.#check(endpoint)));
    for (const [address, endpoint] of this.#endpoints) {
      const badSinceMs = endpoint.lastGoodMs > 0 ? endpoint.lastGoodMs : endpoint.firstSeenMs;
      if (endpoint.lastError === undefined || endpoint.isStrict) continue;
      if (clock() - badSinceMs < unhealthyTimeoutMs) continue;
      // It comes back with its next good Info, as long as it is configured.
      clients.close(address);
      endpoint.info = undefined;
      endpoint.labelSets = [];
      endpoint.hasRules = false;
      endpoint.hasExemplars = false;
      if (endpoint.lastGoodMs > 0) log.warn('endpoint does not answer, forgetting what it announced', { address, lastError: endpoint.lastError });
      endpoint.lastGoodMs = 0;
    }
    this.#warnOfEqualLabels();
    this.#measure();
  }

  async #resolve(): Promise<Map<string, { target: EndpointTarget; isStrict: boolean }>> {
    const { resolver, specs, clock, dnsIntervalMs, log } = this.#options;
    const wanted = specs();
    const dynamic = wanted.filter(({ address }) => isDynamicAddress(address));
    if (dynamic.length > 0 && clock() - this.#lastDnsMs >= dnsIntervalMs) {
      this.#lastDnsMs = clock();
      for (const error of await resolver.resolve(dynamic.map(({ address }) => address))) log.error('resolve addresses of endpoints', { err: error });
    }
    const found = new Map<string, { target: EndpointTarget; isStrict: boolean }>();
    const add = (address: string, members: readonly string[], spec: EndpointSpec): void => {
      if (found.has(address)) this.#duplicates.inc();
      else found.set(address, { target: { address, members, tls: spec.tls }, isStrict: spec.isStrict });
    };
    for (const spec of wanted) {
      const addresses = isDynamicAddress(spec.address) ? resolver.addressesOf(spec.address) : [spec.address];
      if (!spec.isGroup) for (const address of addresses) add(address, [address], spec);
      else if (addresses.length > 0) add(spec.address, [...addresses].sort(), spec);
    }
    return found;
  }

  async #check(endpoint: Endpoint): Promise<void> {
    const { clients, clock, infoTimeoutMs, log } = this.#options;
    try {
      const answer = await clients.get(endpoint.target).fetchInfo({ timeoutMs: infoTimeoutMs });
      const wasUnknown = endpoint.lastGoodMs === 0;
      endpoint.info = infoFromMessage(answer);
      endpoint.labelSets = endpoint.info?.labelSets ?? labelSetsOf(answer);
      endpoint.hasRules = answer.rules !== undefined;
      endpoint.hasExemplars = answer.exemplars !== undefined;
      endpoint.componentType = answer.componentType === '' ? 'unknown' : answer.componentType;
      endpoint.lastGoodMs = clock();
      endpoint.lastError = undefined;
      if (wasUnknown) log.info('adding new endpoint', { address: endpoint.target.address, component: endpoint.componentType, extLset: endpoint.labelSets.map(formatLabels).join(',') });
    } catch (error) {
      const text = (error as Error).message;
      if (endpoint.lastError === undefined) log.warn('update of endpoint failed', { address: endpoint.target.address, err: text });
      endpoint.lastError = text;
    }
  }

  #remove(address: string, why: string): void {
    this.#options.clients.close(address);
    this.#endpoints.delete(address);
    this.#options.log.info(`endpoint ${why}, removing it`, { address });
  }

  /** Two sidecars or rulers that announce the same labels are one Prometheus twice, or a copy-paste mistake. */
  #warnOfEqualLabels(): void {
    const holders = new Map<string, string[]>();
    for (const { componentType, labelSets, target, lastError } of this.#endpoints.values()) {
      if (lastError !== undefined || (componentType !== 'sidecar' && componentType !== 'rule') || labelSets.length === 0) continue;
      const key = `${componentType} ${labelSets.map(formatLabels).sort().join(',')}`;
      holders.set(key, [...(holders.get(key) ?? []), target.address]);
    }
    const warned = new Set<string>();
    for (const [key, addresses] of holders) {
      if (addresses.length < 2) continue;
      const text = `${key} ${addresses.join(' ')}`;
      warned.add(text);
      if (this.#warned.has(text)) continue;
      const [component] = key.split(' ', 1);
      this.#options.log.warn(`found duplicate ${component} endpoints: different Prometheus servers must have different external labels`, { addresses: addresses.join(','), extLset: key.slice(component!.length + 1) });
    }
    this.#warned = warned;
  }

  #measure(): void {
    this.#connections.clear();
    const counts = new Map<string, { labels: Record<string, string>; count: number }>();
    for (const endpoint of this.#endpoints.values()) {
      if (endpoint.lastError !== undefined || endpoint.lastGoodMs === 0) continue;
      const all: Record<string, string> = {
        external_labels: endpoint.labelSets.map(formatLabels).join(',').slice(0, METRIC_LABEL_MAX),
        store_type: endpoint.componentType,
        ip_port: endpoint.target.address,
      };
      const labels = Object.fromEntries(this.#options.connMetricLabels.map((name) => [name, all[name]!]));
      const key = JSON.stringify(labels);
      counts.set(key, { labels, count: (counts.get(key)?.count ?? 0) + 1 });
    }
    for (const { labels, count } of counts.values()) this.#connections.with(labels).set(count);
  }
}

function labelSetsOf(answer: InfoResponse): readonly Labels[] {
  return answer.labelSets.map(labelsFromMessage);
}
