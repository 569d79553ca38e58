/**
 * Addresses with a DNS prefix, resolved again at an interval by whoever owns the provider:
 *
 *   dns+host:port         A and AAAA records            dnssrv+_grpc._tcp.x    SRV records, then A and AAAA of each target
 *   dnsdualstack+host:port  both kinds, IPv6 first       dnssrvnoa+_grpc._tcp.x SRV records, targets as names
 *
 * A failed lookup keeps the last good addresses; a name that does not exist has none. A scheme (`dns+http://host:port`) is kept on the results.
 * Source: Thanos pkg/discovery/dns.
 */
import { lookup, Resolver } from 'node:dns/promises';
import { readFileSync } from 'node:fs';
import { isIPv6 } from 'node:net';
import { ServiceKitError, errorText, systemErrorCode } from './errors.ts';
import type { Logger } from './log.ts';
import type { Counter, Gauge, Metrics } from './metrics.ts';

/** Prefixes, without `+`. */
export const DNS_QUERY_TYPES = ['dns', 'dnssrv', 'dnssrvnoa', 'dnsdualstack'] as const;
/** One of {@link DNS_QUERY_TYPES}. */
export type DnsQueryType = (typeof DNS_QUERY_TYPES)[number];

/** Lookups the provider makes. Errors carry Node's codes: ENOTFOUND and ENODATA mean "no such name". */
export interface DnsLookups {
  /** Addresses of a host; `family` 0 for both. */
  addresses(host: string, family: 0 | 4 | 6): Promise<readonly string[]>;
  /** SRV records. */
  services(name: string): Promise<readonly { readonly name: string; readonly port: number }[]>;
}

/** What {@link createDnsProvider} needs. */
export interface DnsProviderDeps {
  readonly log: Logger;
  /** Scope with the prefix, such as `thanos_query_endpoints_`. */
  readonly metrics: Metrics;
  /** Default: this machine's. */
  readonly lookups?: DnsLookups;
}

/** Splits `dnssrv+name` into type and name; an address without `+` has no type. */
export function splitDnsPrefix(address: string): { readonly type: string; readonly name: string } {
  const plus = address.indexOf('+');
  return plus < 0 ? { type: '', name: address } : { type: address.slice(0, plus), name: address.slice(plus + 1) };
}

/** Whether an address changes over time, being found by DNS. */
export function isDynamicAddress(address: string): boolean {
  return splitDnsPrefix(address).type !== '';
}

/** Makes a provider that knows nothing yet. */
export function createDnsProvider(deps: DnsProviderDeps): DnsProvider {
  return new DnsProvider(deps);
}

/** Last known addresses of a set of names. */
export class DnsProvider {
  readonly #log: Logger;
  readonly #lookups: DnsLookups;
  readonly #lookupsTotal: Counter;
  readonly #failuresTotal: Counter;
  readonly #results: Gauge;
  #resolved = new Map<string, readonly string[]>();

  constructor(deps: DnsProviderDeps) {
    this.#log = deps.log;
    this.#lookups = deps.lookups ?? createDnsLookups();
    this.#lookupsTotal = deps.metrics.counter({ name: 'dns_lookups_total', help: 'The number of DNS lookups resolutions attempts.' });
    this.#failuresTotal = deps.metrics.counter({ name: 'dns_failures_total', help: 'The number of DNS lookup failures.' });
    this.#results = deps.metrics.gauge({ name: 'dns_provider_results', help: 'The number of resolved endpoints for each configured address.', labels: ['addr'] });
  }

  /**
   * Resolves these addresses; what is not among them is forgotten.
   * @returns errors of failed lookups; their names keep their last addresses
   */
  async resolve(addresses: readonly string[]): Promise<readonly Error[]> {
    const wanted = [...new Set(addresses)];
    const outcomes = await Promise.allSettled(wanted.map((address) => this.#resolveOne(address)));
    const errors: Error[] = [];
    const resolved = new Map<string, readonly string[]>();
    outcomes.forEach((outcome, i) => {
      const address = wanted[i]!;
      if (outcome.status === 'fulfilled') {
        resolved.set(address, outcome.value);
        return;
      }
      this.#failuresTotal.inc();
      errors.push(outcome.reason as Error);
      const last = this.#resolved.get(address);
      if (last !== undefined) resolved.set(address, last);
    });
    this.#resolved = resolved;
    this.#results.clear();
    for (const [address, found] of resolved) this.#results.with({ addr: address }).set(found.length);
    return errors;
  }

  /** All addresses known now, each once, in the order of the names. */
  addresses(): readonly string[] {
    return [...new Set([...this.#resolved.values()].flat())];
  }

  /** Addresses known for one name (with its prefix). */
  addressesOf(address: string): readonly string[] {
    return this.#resolved.get(address) ?? [];
  }

  async #resolveOne(address: string): Promise<readonly string[]> {
    const { type, name } = splitDnsPrefix(address);
    if (type === '') return [name];
    this.#lookupsTotal.inc();
    return resolveDns(type, name, this.#lookups, this.#log);
  }
}

/**
 * One lookup.
 * @returns host:port texts, with the scheme of the name; empty when the name does not exist
 * @throws ServiceKitError ERR_DNS
 */
export async function resolveDns(type: string, nameWithScheme: string, lookups: DnsLookups, log: Logger): Promise<readonly string[]> {
  const [, scheme = '', name = ''] = /^(?:(.*?\/\/))?(.*)$/s.exec(nameWithScheme) ?? [];
  const { host, port } = splitHostPort(name);
  const addresses = async (of: string, family: 0 | 4 | 6): Promise<readonly string[]> => none(() => lookups.addresses(of, family), `look up addresses of ${of}`, log);
  const found: string[] = [];
  switch (type) {
    case 'dns':
    case 'dnsdualstack': {
      if (port === '') throw new ServiceKitError('ERR_DNS', `missing port in address given for ${type} lookup: ${name}`);
      const ips = type === 'dns' ? await addresses(host, 0) : [...(await addresses(host, 6)), ...(await addresses(host, 4))];
      for (const ip of ips) found.push(joinHostPort(ip, port));
      break;
    }
    case 'dnssrv':
    case 'dnssrvnoa': {
      for (const service of await none(() => lookups.services(host), `look up services of ${host}`, log)) {
        const servicePort = port === '' ? String(service.port) : port;
        const target = service.name.replace(/\.+$/, '');
        const hosts = type === 'dnssrvnoa' ? [target] : await addresses(target, 0);
        for (const each of hosts) found.push(joinHostPort(each, servicePort));
      }
      break;
    }
    default:
      throw new ServiceKitError('ERR_DNS', `invalid lookup scheme "${type}" in ${type}+${nameWithScheme}, wanted one of ${DNS_QUERY_TYPES.join(', ')}`);
  }
  if (found.length === 0) log.warn('DNS lookup yielded no addresses', { type, name });
  return found.map((address) => scheme + address);
}

/** Splits `host:port`, `[v6]:port` or a bare host; port is empty when absent. */
export function splitHostPort(text: string): { readonly host: string; readonly port: string } {
  const bracketed = /^\[([^\]]*)\](?::(\d+))?$/.exec(text);
  if (bracketed !== null) return { host: bracketed[1]!, port: bracketed[2] ?? '' };
  const colon = text.lastIndexOf(':');
  if (colon < 0 || text.indexOf(':') !== colon) return { host: text, port: '' };
  return { host: text.slice(0, colon), port: text.slice(colon + 1) };
}

/** `host:port`, with brackets around IPv6 addresses. */
export function joinHostPort(host: string, port: string | number): string {
  return isIPv6(host) ? `[${host}]:${port}` : `${host}:${port}`;
}

/** Lookups of this machine: hosts by the system's resolver (hosts file and search list included), SRV by DNS with the search list of resolv.conf. */
export function createDnsLookups(resolver: Pick<Resolver, 'resolveSrv'> = new Resolver({ timeout: 5000, tries: 2 }), resolvConf = '/etc/resolv.conf'): DnsLookups {
  return {
    addresses: async (host, family) => (await lookup(host, { all: true, family, verbatim: true })).map((entry) => entry.address),
    async services(name) {
      let lastError: unknown;
      for (const candidate of searchNames(name, readText(resolvConf))) {
        try {
          const records = await resolver.resolveSrv(candidate);
          if (records.length > 0) return records;
        } catch (error) {
          if (!isNoSuchName(error)) throw error;
          lastError = error;
        }
      }
      if (lastError !== undefined) throw lastError;
      return [];
    },
  };
}

/** Names to try, by resolv.conf's `search` and `ndots`. */
export function searchNames(name: string, resolvConf: string): readonly string[] {
  if (name.endsWith('.')) return [name.slice(0, -1)];
  let search: string[] = [];
  let dotsMin = 1;
  for (const line of resolvConf.split('\n')) {
    const words = line.trim().split(/\s+/);
    if (words[0] === 'search' || words[0] === 'domain') search = words.slice(1).map((domain) => domain.replace(/\.$/, '')).filter((domain) => domain !== '');
    if (words[0] === 'options') for (const word of words) if (/^ndots:\d+$/.test(word)) dotsMin = Number(word.slice(6));
  }
  const dots = name.split('.').length - 1;
  const searched = search.map((domain) => `${name}.${domain}`);
  return dots >= dotsMin ? [name, ...searched] : [...searched, name];
}

async function none<T>(find: () => Promise<readonly T[]>, action: string, log: Logger): Promise<readonly T[]> {
  try {
    return await find();
  } catch (error) {
    if (!isNoSuchName(error)) throw new ServiceKitError('ERR_DNS', `${action}: ${errorText(error)}`, error);
    log.error(`${action}: no such name`, { err: error });
    return [];
  }
}

function isNoSuchName(error: unknown): boolean {
  const code = systemErrorCode(error);
  return code === 'ENOTFOUND' || code === 'ENODATA';
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
