/**
 * Where HTTP servers are, as configuration says it: one entry of `query.config` or `alertmanagers.config`, or an address of a flag.
 *
 *   static_configs: [dns+host:9090, host:9090]   file_sd_configs: [{files, refresh_interval}]   scheme: http   path_prefix: /p
 *   dnssrv+http://user:password@_web._tcp.host/prefix            an address of a flag; the DNS prefix may stand before the host, too
 *
 * Source: Thanos pkg/clientconfig/http.go, pkg/alert/config.go.
 */
import { DEFAULT_HTTP_CLIENT, DNS_QUERY_TYPES, type HttpClientSettings, schema } from '@gauntlet/service-kit';
import { RulerError } from './errors.ts';

/** A set of equal servers, not resolved yet. */
export interface HttpEndpointsConfig {
  readonly client: HttpClientSettings;
  readonly scheme: 'http' | 'https';
  /** `''` or `/prefix`, without a slash at its end. */
  readonly pathPrefix: string;
  /** `host:port`, with DNS prefixes. */
  readonly addresses: readonly string[];
  readonly files: readonly { readonly paths: readonly string[]; readonly refreshMs: number }[];
}

/** Keys every entry has beside `http_config`. Spread it into an object schema. */
export const ENDPOINT_FIELDS: {
  readonly static_configs: ReturnType<typeof schema.withDefault<readonly string[], readonly string[]>>;
  readonly file_sd_configs: ReturnType<typeof schema.withDefault<readonly FileSd[], readonly FileSd[]>>;
  readonly scheme: ReturnType<typeof schema.withDefault<'http' | 'https', 'http'>>;
  readonly path_prefix: ReturnType<typeof schema.withDefault<string, ''>>;
} = {
  static_configs: schema.withDefault(schema.list(schema.string()), []),
  file_sd_configs: schema.withDefault(schema.list(schema.object({ files: schema.list(schema.string()), refresh_interval: schema.withDefault(schema.duration(), 300_000) })), []),
  scheme: schema.withDefault(schema.oneOf(['http', 'https']), 'http'),
  path_prefix: schema.withDefault(schema.string(), ''),
};

interface FileSd {
  readonly files: readonly string[];
  readonly refresh_interval: number;
}

/** An entry as decoded. */
export interface EndpointsEntry {
  readonly static_configs: readonly string[];
  readonly file_sd_configs: readonly FileSd[];
  readonly scheme: 'http' | 'https';
  readonly path_prefix: string;
}

/** An entry of a configuration file. */
export function endpointsOfEntry(entry: EndpointsEntry, client: HttpClientSettings): HttpEndpointsConfig {
  return {
    client,
    scheme: entry.scheme,
    pathPrefix: trimPath(entry.path_prefix),
    addresses: entry.static_configs,
    files: entry.file_sd_configs.map(({ files, refresh_interval }) => ({ paths: files, refreshMs: refresh_interval })),
  };
}

const TYPES = DNS_QUERY_TYPES.join('|');
const ADDRESS = new RegExp(`^(?:(?:(?<type>${TYPES})\\+)?(?<scheme>[A-Za-z][A-Za-z0-9+.-]*):\\/\\/)?(?:(?<user>[^/@]*)@)?(?<host>(?:(?:${TYPES})\\+)?(?:\\[[\\da-fA-F:.]+\\]|[^/?#@:[\\]]+)(?::\\d+)?)(?<path>\\/[^?#]*)?$`);

/**
 * An address of a flag.
 * @param flag name for messages
 * @param options.needsScheme whether `host:port` alone is refused (`--alertmanagers.url`); else it is http
 * @param options.dnsPort port of hosts found by `dns+` that give none
 * @throws RulerError ERR_CONFIG
 */
export function endpointsOfAddress(address: string, flag: string, options: { readonly needsScheme: boolean; readonly dnsPort?: number }): HttpEndpointsConfig {
  const refuse = (why: string): never => {
    // Not the address itself, which may hold a password.
    throw new RulerError('ERR_CONFIG', `--${flag}=${address.replace(/\/\/[^/@]*@/, '//<secret>@')}: ${why}`);
  };
  const parts = ADDRESS.exec(address)?.groups;
  if (parts === undefined) return refuse(address === '' ? 'the address is empty' : 'wanted an address such as http://host:9090/prefix or dnssrv+_http._tcp.host');
  const { scheme = '', user = '', path = '' } = parts;
  if (scheme === '' && options.needsScheme) refuse('the scheme is missing, wanted for example http://');
  if (scheme !== '' && scheme !== 'http' && scheme !== 'https') refuse(`scheme ${scheme} is not supported, wanted http or https`);
  let host = parts['host']!;
  if (parts['type'] !== undefined) {
    if (host.includes('+')) refuse('the DNS prefix is given twice');
    host = `${parts['type']}+${host}`;
  }
  const isHostLookup = host.startsWith('dns+') || host.startsWith('dnsdualstack+');
  if (isHostLookup && options.dnsPort !== undefined && !/:\d+$/.test(host)) host += `:${options.dnsPort}`;
  const [username = '', ...password] = user.split(':');
  return {
    client: user === '' ? DEFAULT_HTTP_CLIENT : { ...DEFAULT_HTTP_CLIENT, credentials: { kind: 'basic', username: decodeURIComponent(username), password: decodeURIComponent(password.join(':')) } },
    scheme: scheme === 'https' ? 'https' : 'http',
    pathPrefix: trimPath(path),
    addresses: [host],
    files: [],
  };
}

function trimPath(path: string): string {
  const trimmed = path.replace(/^\/+|\/+$/g, '');
  return trimmed === '' ? '' : `/${trimmed}`;
}
