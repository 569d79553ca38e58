/**
 * Our own programs as processes: bin/gauntlet of this checkout (built), on free loopback ports that are read from the log.
 * A service is started when it listens and `/-/ready` answers; a command that should refuse is run to its end.
 */
import { join } from 'node:path';
import { type ProcessOptions, type RunningProcess, startProcess, waitFor, waitForUrl } from './process.ts';

const BIN = join(import.meta.dirname, '..', '..', 'bin', 'gauntlet');

/** A component that is up. */
export interface Service {
  readonly process: RunningProcess;
  /** `http://127.0.0.1:port` */
  readonly url: string;
  /** `127.0.0.1:port` of the gRPC server; empty where there is none. */
  readonly grpc: string;
  stop(signal?: NodeJS.Signals): Promise<void>;
}

/** Components that can be started as a service; the compactor has no gRPC server. */
export type ServiceName = 'sidecar' | 'store' | 'query' | 'rule' | 'compact';

export interface ServiceOptions {
  /** False: returns as soon as HTTP answers, ready or not, and `grpc` may be empty. Default true. */
  readonly waitsForReady?: boolean;
  readonly name?: string;
  readonly env?: ProcessOptions['env'];
  readonly timeoutMs?: number;
}

/** Starts `gauntlet <argv…>` and returns at once. */
export function startGauntlet(argv: readonly string[], { name = `gauntlet ${argv[0] ?? ''}`, env = {} }: { readonly name?: string; readonly env?: ProcessOptions['env'] } = {}): RunningProcess {
  return startProcess({ name, command: process.execPath, args: [BIN, ...argv], env });
}

/** Runs `gauntlet <argv…>` to its end. @throws when it is still running after the time; the message carries its output */
export async function runGauntlet(argv: readonly string[], timeoutMs = 60_000): Promise<{ readonly code: number | null; readonly output: string }> {
  const child = startGauntlet(argv);
  try {
    await waitFor(`the end of ${child.name}`, async () => !child.isRunning(), { timeoutMs });
  } catch (error) {
    throw new Error(`${String(error)}\n--- ${child.name}\n${child.output().slice(-6000)}`);
  } finally {
    await child.stop('SIGKILL');
  }
  const { code } = await child.exited;
  return { code, output: child.output() };
}

/** Starts a component on free ports. */
export async function startService(component: ServiceName, argv: readonly string[], { waitsForReady = true, name, env, timeoutMs = 60_000 }: ServiceOptions = {}): Promise<Service> {
  const hasGrpc = component !== 'compact';
  const servers = ['--http-address=127.0.0.1:0', '--http-grace-period=1s', ...(hasGrpc ? ['--grpc-address=127.0.0.1:0', '--grpc-grace-period=1s'] : [])];
  const child = startGauntlet([component, ...servers, ...argv], {
    name: name ?? component,
    ...(env === undefined ? {} : { env }),
  });
  const fromLog = (pattern: RegExp): Promise<string> => waitFor(`${pattern.source} in the log`, async () => pattern.exec(child.output())?.[1], { process: child, timeoutMs });
  const url = `http://${await fromLog(/msg="listening for requests and metrics".*? address=(\S+)/)}`;
  let grpc = '';
  if (waitsForReady) {
    await waitForUrl(`${url}/-/ready`, child, timeoutMs);
    if (hasGrpc) grpc = `127.0.0.1:${await fromLog(/msg="listening for serving gRPC".*? port=(\d+)/)}`;
  }
  return { process: child, url, grpc, stop: (signal) => child.stop(signal) };
}
