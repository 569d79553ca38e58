/**
 * TLS material from files: reading and checking it at start, and again when the files change, for servers and clients.
 *
 * Names of versions, curves and cipher suites are Go's, as the flags and web configuration files have them. Key material never appears in messages.
 * Source: Thanos pkg/tls/options.go, prometheus/exporter-toolkit web/tls_config.go.
 */
import { readFileSync } from 'node:fs';
import { type SecureContext, type SecureContextOptions, type SecureVersion, createSecureContext, getCiphers } from 'node:tls';
import { ServiceKitError, errorText } from './errors.ts';

/** Where a server's TLS material is, and what it demands. Empty texts mean "not given". */
export interface ServerTlsOptions {
  readonly certFile: string;
  readonly keyFile: string;
  /** CA file; given: clients must show a certificate from it. */
  readonly clientCaFile: string;
  /** `1.0` to `1.3`. */
  readonly minVersion: string;
  /** `1.0` to `1.3`; empty for the newest. */
  readonly maxVersion?: string;
  /** Go names such as `TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256`. */
  readonly ciphers?: readonly string[];
  /** Go names: CurveP256, CurveP384, CurveP521, X25519. */
  readonly curves?: readonly string[];
  /** PEM texts in place of the files. */
  readonly inline?: { readonly cert: string; readonly key: string; readonly clientCa: string };
}

/** Where a client's TLS material is. Empty texts mean "not given". */
export interface ClientTlsOptions {
  readonly caFile: string;
  readonly certFile: string;
  readonly keyFile: string;
  /** Name expected in the server's certificate; empty: the host dialled. */
  readonly serverName: string;
  readonly skipVerify: boolean;
  readonly minVersion: string;
}

const NODE_VERSIONS: Readonly<Record<string, SecureVersion>> = { '1.0': 'TLSv1', '1.1': 'TLSv1.1', '1.2': 'TLSv1.2', '1.3': 'TLSv1.3' };
const NODE_CURVES: Readonly<Record<string, string>> = { CurveP256: 'P-256', CurveP384: 'P-384', CurveP521: 'P-521', X25519: 'X25519' };

/**
 * Reads a server's material.
 * @returns undefined when neither certificate nor key is given
 * @throws ServiceKitError ERR_TLS naming the file or option
 */
export function readServerTls(options: ServerTlsOptions): SecureContextOptions | undefined {
  const inline = options.inline ?? { cert: '', key: '', clientCa: '' };
  const hasCert = options.certFile !== '' || inline.cert !== '';
  const hasKey = options.keyFile !== '' || inline.key !== '';
  const hasClientCa = options.clientCaFile !== '' || inline.clientCa !== '';
  if (!hasCert && !hasKey) {
    if (hasClientCa) throw new ServiceKitError('ERR_TLS', 'when a client CA is used a server key and certificate must also be provided');
    return undefined;
  }
  if (!hasCert || !hasKey) throw new ServiceKitError('ERR_TLS', 'both server key and certificate must be provided');
  const context: SecureContextOptions = {
    cert: inline.cert !== '' ? inline.cert : readPem(options.certFile, 'server certificate'),
    key: inline.key !== '' ? inline.key : readPem(options.keyFile, 'server key'),
    minVersion: tlsVersion(options.minVersion),
    ...(options.maxVersion === undefined || options.maxVersion === '' ? {} : { maxVersion: tlsVersion(options.maxVersion) }),
    ...(hasClientCa ? { ca: inline.clientCa !== '' ? inline.clientCa : readPem(options.clientCaFile, 'client CA') } : {}),
    ...(options.ciphers === undefined || options.ciphers.length === 0 ? {} : { ciphers: cipherList(options.ciphers) }),
    ...(options.curves === undefined || options.curves.length === 0 ? {} : { ecdhCurve: curveList(options.curves) }),
  };
  checkContext(context, options.certFile === '' ? 'the inline certificate' : options.certFile);
  return context;
}

/** Reads a client's material. @throws ServiceKitError ERR_TLS naming the file or option */
export function readClientTls(options: ClientTlsOptions): { readonly context: SecureContext; readonly options: SecureContextOptions } {
  if ((options.certFile === '') !== (options.keyFile === '')) throw new ServiceKitError('ERR_TLS', 'both client key and certificate must be provided');
  const context: SecureContextOptions = {
    minVersion: tlsVersion(options.minVersion),
    ...(options.caFile === '' ? {} : { ca: readPem(options.caFile, 'client CA') }),
    ...(options.certFile === '' ? {} : { cert: readPem(options.certFile, 'client certificate'), key: readPem(options.keyFile, 'client key') }),
  };
  return { context: checkContext(context, options.certFile === '' ? options.caFile : options.certFile), options: context };
}

/** Files a server's or client's options name, for watching. */
export function tlsFiles(options: { readonly certFile: string; readonly keyFile: string; readonly clientCaFile?: string; readonly caFile?: string }): readonly string[] {
  return [options.certFile, options.keyFile, options.clientCaFile ?? '', options.caFile ?? ''].filter((path) => path !== '');
}

/** Go's or plain version text (`1.2`, `TLS12`) as Node's. @throws ServiceKitError ERR_TLS */
export function tlsVersion(text: string): SecureVersion {
  const plain = /^TLS1[0-3]$/.test(text) ? `1.${text.at(-1)!}` : text === '' ? '1.3' : text;
  const version = Object.hasOwn(NODE_VERSIONS, plain) ? NODE_VERSIONS[plain] : undefined;
  if (version === undefined) throw new ServiceKitError('ERR_TLS', `TLS version: got '${text}', wanted one of 1.0, 1.1, 1.2, 1.3`);
  return version;
}

/** Go's curve names as OpenSSL's list. @throws ServiceKitError ERR_TLS */
export function curveList(names: readonly string[]): string {
  return names
    .map((name) => {
      const curve = Object.hasOwn(NODE_CURVES, name) ? NODE_CURVES[name] : undefined;
      if (curve === undefined) throw new ServiceKitError('ERR_TLS', `TLS curve: got '${name}', wanted one of ${Object.keys(NODE_CURVES).join(', ')}`);
      return curve;
    })
    .join(':');
}

/**
 * Go's cipher suite names as OpenSSL's list. TLS 1.3 suites keep their names; `TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256` is `ECDHE-RSA-AES128-GCM-SHA256`.
 * @throws ServiceKitError ERR_TLS for a suite this Node does not have
 */
export function cipherList(names: readonly string[]): string {
  const known = new Set(getCiphers());
  return names
    .map((name) => {
      const suite = name.startsWith('TLS_') && name.includes('_WITH_') ? openSslName(name) : name;
      if (!known.has(suite.toLowerCase())) throw new ServiceKitError('ERR_TLS', `TLS cipher suite: '${name}' is not known here`);
      return suite;
    })
    .join(':');
}

function openSslName(goName: string): string {
  const [exchange = '', cipher = ''] = goName.slice(4).split('_WITH_');
  const suite = cipher.replace(/^AES_(128|256)_(GCM|CBC)_(SHA\d*)$/, (_whole, bits: string, mode: string, hash: string) => `AES${bits}-${mode === 'GCM' ? 'GCM-' : ''}${hash}`);
  const chacha = suite.replace(/^CHACHA20_POLY1305(_SHA256)?$/, 'CHACHA20-POLY1305').replace(/^3DES_EDE_CBC_SHA$/, 'DES-CBC3-SHA');
  return exchange === 'RSA' ? chacha : `${exchange.replaceAll('_', '-')}-${chacha}`;
}

function readPem(path: string, what: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    throw new ServiceKitError('ERR_TLS', `read ${what} ${path}: ${errorText(error)}`, error);
  }
}

function checkContext(context: SecureContextOptions, path: string): SecureContext {
  try {
    return createSecureContext(context);
  } catch (error) {
    throw new ServiceKitError('ERR_TLS', `load TLS material of ${path}: ${errorText(error)}`, error);
  }
}
