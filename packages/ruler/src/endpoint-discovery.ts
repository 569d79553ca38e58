/**
 * Addresses of configured servers, kept current: DNS names resolved at an interval, target files read when they change.
 *
 *   addresses of the configuration ┐
 *   targets of files ──────────────┴─► DNS ─► base URLs per configured entry ─► onChange
 *
 * Source: Thanos pkg/clientconfig/http.go; cmd/thanos/rule.go, addDiscoveryGroups.
 */
import { createDnsProvider, createFileDiscovery, type DnsLookups, type FileDiscovery, type Logger, type Metrics } from '@gauntlet/service-kit';
import type { HttpEndpointsConfig } from './http-endpoints.ts';

/** Most time between looks at target files. */
const FILE_LOOK_MAX_MS = 5000;

/** What {@link createEndpointDiscovery} needs. */
export interface EndpointDiscoveryDeps {
  readonly log: Logger;
  /** Scope with the prefix, such as `thanos_rule_query_apis_`. */
  readonly metrics: Metrics;
  /** Called with the base URLs per entry when they changed, first before `start` resolves. */
  readonly onChange: (endpoints: readonly (readonly string[])[]) => void;
  /** Default: this machine's. */
  readonly lookups?: DnsLookups;
}

/** See the head of this file. */
export interface EndpointDiscovery {
  /** Reads files and resolves once, then goes on until `stop`. Never fails: what cannot be resolved is logged and has no address. */
  start(): Promise<void>;
  stop(): void;
  /** Base URLs per entry now. */
  endpoints(): readonly (readonly string[])[];
}

/** Makes a discovery of these entries. */
export function createEndpointDiscovery(configs: readonly HttpEndpointsConfig[], dnsIntervalMs: number, deps: EndpointDiscoveryDeps): EndpointDiscovery {
  const { log } = deps;
  const dns = createDnsProvider({ log, metrics: deps.metrics, ...(deps.lookups === undefined ? {} : { lookups: deps.lookups }) });
  const found: string[][] = configs.map(() => []);
  const files: FileDiscovery[] = [];
  let isStopped = false;
  let timer: NodeJS.Timeout | undefined;
  let last: string | undefined;

  const addresses = (): string[][] => configs.map((config, i) => [...config.addresses, ...found[i]!]);
  const endpoints = (): string[][] =>
    addresses().map((list, i) => {
      const { scheme, pathPrefix } = configs[i]!;
      return list.flatMap((address) => dns.addressesOf(address)).map((host) => `${scheme}://${host}${pathPrefix}`);
    });
  const publish = (): void => {
    const now = endpoints();
    const text = JSON.stringify(now);
    if (text === last) return;
    last = text;
    deps.onChange(now);
  };
  const resolve = async (): Promise<void> => {
    for (const error of await dns.resolve(addresses().flat())) log.error('resolve address', { err: error });
    if (!isStopped) publish();
  };
  const next = (): void => {
    if (isStopped) return;
    timer = setTimeout(() => void resolve().finally(next), dnsIntervalMs);
    timer.unref();
  };

  return {
    endpoints,
    async start() {
      configs.forEach((config, i) => {
        for (const { paths, refreshMs } of config.files) {
          const perFile: string[] = [];
          const discovery = createFileDiscovery({
            files: paths,
            intervalMs: Math.min(refreshMs, FILE_LOOK_MAX_MS),
            log,
            onTargets: (groups) => {
              for (const target of perFile.splice(0)) found[i]!.splice(found[i]!.indexOf(target), 1);
              perFile.push(...groups.flatMap(({ targets }) => targets));
              found[i]!.push(...perFile);
              if (timer !== undefined) void resolve();
            },
          });
          files.push(discovery);
        }
      });
      await resolve();
      next();
    },
    stop() {
      isStopped = true;
      clearTimeout(timer);
      for (const discovery of files) discovery.stop();
    },
  };
}
