/** Names of components → the service behind each, loaded only when asked for. Names are those of the `thanos` binary; aliases are ours. */

/** A service's own command line: reads its flags, runs until it is told to stop. */
export type Main = (argv: readonly string[]) => Promise<void>;

export interface Component {
  readonly name: string;
  readonly aliases: readonly string[];
  readonly summary: string;
  /** Undefined for what this version does not have. */
  readonly load: (() => Promise<Main>) | undefined;
}

/** Every component a user of Thanos may ask for, in the order help shows them. */
export const COMPONENTS: readonly Component[] = [
  { name: 'sidecar', aliases: [], summary: 'StoreAPI over a Prometheus, and shipping of its blocks', load: async () => (await import('@gauntlet/sidecar')).main },
  { name: 'store', aliases: ['store-gateway'], summary: 'StoreAPI over the blocks in a bucket', load: async () => (await import('@gauntlet/store-gateway')).main },
  { name: 'query', aliases: ['querier'], summary: 'The global view: PromQL over all endpoints, deduplicated; HTTP API and UI', load: async () => (await import('@gauntlet/querier')).main },
  { name: 'standalone', aliases: [], summary: 'Everything in one process on a local folder, with an embedded scraper', load: async () => (await import('@gauntlet/standalone')).main },
  { name: 'compact', aliases: ['compactor'], summary: 'Compaction, retention and cleaning of the bucket', load: async () => (await import('@gauntlet/compactor')).main },
  { name: 'rule', aliases: ['ruler'], summary: 'Recording and alerting rules over queriers', load: async () => (await import('@gauntlet/ruler')).main },
  { name: 'receive', aliases: [], summary: 'Remote write', load: undefined },
  { name: 'query-frontend', aliases: [], summary: 'Splitting and caching in front of queriers', load: undefined },
  { name: 'demo', aliases: [], summary: 'What a demonstration needs: a sample shop, a webhook receiver, a bucket, a history', load: async () => (await import('@gauntlet/demo')).main },
  { name: 'healthcheck', aliases: [], summary: 'Asks a component whether it is well; for containers', load: async () => (await import('./healthcheck.ts')).healthcheck },
  { name: 'tools', aliases: [], summary: 'Looking at, marking and verifying blocks and buckets; checking rule files', load: async () => (await import('@gauntlet/tools')).main },
];

/** The component of that name or alias. */
export function findComponent(name: string): Component | undefined {
  return COMPONENTS.find((component) => component.name === name || component.aliases.includes(name));
}
