/** `gauntlet store`: flags in, a running store gateway until a signal. Also how other packages start one in their process. */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { BUILD_INFO, createLogger, createMetrics, createRunGroup, errorText, parseFlagsOrExit, registerProcessMetrics } from '@gauntlet/service-kit';
import { type StoreGatewayConfig, storeGatewayFlags } from './flags.ts';
import { createStoreGateway, type StoreGatewayDeps } from './store-gateway.ts';

const packageDir = fileURLToPath(new URL('..', import.meta.url));

/** What starting a gateway needs; the worker module is that of this package's build unless told. */
export type StartStoreGatewayDeps = Omit<StoreGatewayDeps, 'workerModule'> & Partial<Pick<StoreGatewayDeps, 'workerModule'>>;

/** A gateway that runs. */
export interface RunningStoreGateway {
  /** `host:port` */
  readonly httpAddress: string;
  readonly grpcAddress: string;
  /** Looks at the bucket now, rather than at the next interval. */
  sync(): Promise<void>;
  /** Ends it; idempotent. */
  stop(): Promise<void>;
}

function withWorker(deps: StartStoreGatewayDeps): StoreGatewayDeps {
  return { ...deps, workerModule: deps.workerModule ?? new URL(`file://${join(packageDir, 'dist', 'store-worker.js')}`) };
}

/**
 * Starts a gateway in this process; it is ready when this returns.
 * @throws StoreGatewayError ERR_INITIAL_SYNC when the bucket cannot be read; ConfigError and others for a configuration that cannot work
 */
export async function startStoreGateway(config: StoreGatewayConfig, deps: StartStoreGatewayDeps): Promise<RunningStoreGateway> {
  const gateway = await createStoreGateway(config, withWorker(deps));
  const ending = new AbortController();
  const group = createRunGroup({ log: deps.log, signals: undefined });
  for (const part of gateway.parts) group.add(part);
  let up: () => void = () => {};
  const isUp = new Promise<void>((resolve) => {
    up = resolve;
  });
  group.add({ name: 'started', start: () => up() });
  const running = group.run(ending.signal);
  await Promise.race([isUp, running]);
  return {
    httpAddress: gateway.httpAddress(),
    grpcAddress: gateway.grpcAddress(),
    sync: () => gateway.sync(),
    async stop() {
      ending.abort();
      await running;
    },
  };
}

/** Runs a gateway until told to stop. @throws what ended it */
export async function run(config: StoreGatewayConfig, deps: StartStoreGatewayDeps, signal?: AbortSignal): Promise<void> {
  const gateway = await createStoreGateway(config, withWorker(deps));
  const group = createRunGroup({ log: deps.log });
  for (const part of gateway.parts) group.add(part);
  deps.log.info('starting store node');
  await group.run(signal);
}

/**
 * Runs the component until a signal; exits for `--help` and wrong flags.
 * @param argv arguments after the component's name
 */
export async function main(argv: readonly string[]): Promise<void> {
  const { values, shown, warnings } = parseFlagsOrExit({ name: 'store', help: 'StoreAPI over the blocks in a bucket.', flags: storeGatewayFlags, version: BUILD_INFO.version }, argv);
  const log = createLogger({ level: values.logLevel, format: values.logFormat, ...(values.debugName === '' ? {} : { fields: { name: values.debugName } }) });
  for (const warning of warnings) log.warn(warning);
  const metrics = createMetrics();
  registerProcessMetrics(metrics, BUILD_INFO);
  try {
    await run(values, { log, metrics, clock: Date.now, shownFlags: Object.fromEntries(shown) });
  } catch (error) {
    log.error('store command failed', { err: errorText(error) });
    process.exitCode = 1;
  }
}
