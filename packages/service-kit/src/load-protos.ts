/**
 * The gRPC services of `protos/`, ready for servers and clients.
 *
 * How messages look in JavaScript (what proto-loader makes of them):
 *   field names as in the .proto file (snake_case)   ·   int64 and uint64 as decimal texts: they hold the int64 limits, which no double does; see `longToNumber`
 *   enums as numbers   ·   absent scalars as their defaults, absent messages as null   ·   bytes as Buffer   ·   oneof: the set field, and its name under the oneof's name
 *
 * Hot methods do without proto-loader: `withCodec` puts hand-written serialisers in place.
 */
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { MethodDefinition, ServiceDefinition, UntypedServiceImplementation } from '@grpc/grpc-js';
import { type PackageDefinition, loadSync } from '@grpc/proto-loader';
import { ServiceKitError, errorText } from './errors.ts';

/** Loaded .proto files. */
export interface LoadedProtos {
  /** For reflection. */
  readonly definition: PackageDefinition;
  /** Service by its full name, such as `thanos.Store`. @throws ServiceKitError ERR_PROTO */
  service(name: string): GrpcService;
}

/** A service by its method names (`Series`). */
export type GrpcService = Readonly<Record<string, GrpcMethod>>;
/** One method with its codecs. */
export type GrpcMethod = MethodDefinition<unknown, unknown>;

/** Codecs to put in place of proto-loader's. */
export interface MethodCodec {
  readonly requestSerialize?: (message: never) => Buffer;
  readonly requestDeserialize?: (bytes: Buffer) => unknown;
  readonly responseSerialize?: (message: never) => Buffer;
  readonly responseDeserialize?: (bytes: Buffer) => unknown;
}

/**
 * Loads .proto files.
 * @param names file names without `.proto`, such as `store`, `info`
 * @param folder where they are; default `protos/` above this package, or `GAUNTLET_PROTOS`
 * @throws ServiceKitError ERR_PROTO naming the file
 */
export function loadProtos(names: readonly string[], folder: string = protosFolder()): LoadedProtos {
  let definition: PackageDefinition;
  try {
    definition = loadSync(
      names.map((name) => `${name}.proto`),
      { includeDirs: [folder], keepCase: true, longs: String, enums: Number, defaults: true, oneofs: true },
    );
  } catch (error) {
    throw new ServiceKitError('ERR_PROTO', `load protos ${names.join(', ')} from ${folder}: ${errorText(error)}`, error);
  }
  return {
    definition,
    service(name) {
      const found: unknown = Object.hasOwn(definition, name) ? definition[name] : undefined;
      if (typeof found !== 'object' || found === null || 'format' in found) {
        throw new ServiceKitError('ERR_PROTO', `find service ${name}: not in protos ${names.join(', ')}`);
      }
      return found as GrpcService;
    },
  };
}

/** The service with other codecs for some of its methods. @throws ServiceKitError ERR_PROTO for a method it does not have */
export function withCodec(service: GrpcService, codecs: Readonly<Record<string, MethodCodec>>): GrpcService {
  const methods: Record<string, GrpcMethod> = { ...service };
  for (const [name, codec] of Object.entries(codecs)) {
    const method = Object.hasOwn(service, name) ? service[name] : undefined;
    if (method === undefined) throw new ServiceKitError('ERR_PROTO', `set codec of method ${name}: the service has ${Object.keys(service).join(', ')}`);
    methods[name] = { ...method, ...(codec as Partial<GrpcMethod>) };
  }
  return methods;
}

/** An int64 text as a number; the int64 limits and all beyond exact doubles become ±Number.MAX_SAFE_INTEGER. */
export function longToNumber(text: string | number): number {
  const value = Number(text);
  if (value >= Number.MAX_SAFE_INTEGER) return Number.MAX_SAFE_INTEGER;
  return value <= -Number.MAX_SAFE_INTEGER ? -Number.MAX_SAFE_INTEGER : value;
}

/** A number as int64 text; ±Number.MAX_SAFE_INTEGER and beyond become the int64 limits, as Go peers write "open". */
export function numberToLong(value: number): string {
  if (value >= Number.MAX_SAFE_INTEGER) return '9223372036854775807';
  return value <= -Number.MAX_SAFE_INTEGER ? '-9223372036854775808' : String(Math.trunc(value));
}

/** Kept here so that callers need no type of grpc-js for it. */
export type GrpcImplementation = UntypedServiceImplementation;
/** As grpc-js wants it. */
export type GrpcServiceDefinition = ServiceDefinition;

function protosFolder(): string {
  const given = process.env['GAUNTLET_PROTOS'];
  if (given !== undefined && given !== '') return given;
  for (let folder = dirname(fileURLToPath(import.meta.url)); folder !== dirname(folder); folder = dirname(folder)) {
    if (existsSync(join(folder, 'protos', 'store.proto'))) return join(folder, 'protos');
  }
  throw new ServiceKitError('ERR_PROTO', 'find folder protos: it is in no folder above this module, and GAUNTLET_PROTOS is not set');
}
