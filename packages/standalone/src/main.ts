/** `gauntlet standalone`: flags in, everything running until a signal. */
import { fileURLToPath, pathToFileURL } from 'node:url';
import { join } from 'node:path';
import { BUILD_INFO, createLogger, createMetrics, createRunGroup, errorText, parseFlagsOrExit, registerProcessMetrics } from '@gauntlet/service-kit';
import { checkAddress } from './check-address.ts';
import { standaloneFlags } from './flags.ts';
import { createStandalone } from './standalone.ts';
import { welcomeText } from './welcome.ts';

const packageDir = fileURLToPath(new URL('..', import.meta.url));

/** The built replica worker of this package. */
export const REPLICA_MODULE: URL = pathToFileURL(join(packageDir, 'dist', 'replica', 'replica-worker.js'));

/**
 * Runs the component until a signal; exits for `--help` and wrong flags.
 * @param argv arguments after the component's name
 */
export async function main(argv: readonly string[]): Promise<void> {
  const { values, shown, warnings } = parseFlagsOrExit(
    { name: 'standalone', help: 'Everything in one process on a local folder: two replicas that scrape, a bucket, a store gateway, a querier with its page, a ruler, a compactor.', flags: standaloneFlags, version: BUILD_INFO.version },
    argv,
  );
  const log = createLogger({ level: values.logLevel, format: values.logFormat });
  for (const warning of warnings) log.warn(warning);
  const metrics = createMetrics();
  registerProcessMetrics(metrics, BUILD_INFO);
  const ending = new AbortController();
  const end = (): void => ending.abort();
  process.once('SIGINT', end);
  process.once('SIGTERM', end);
  try {
    await checkAddress(values.httpAddress, 'http-address', '127.0.0.1:19090');
    await checkAddress(values.grpcAddress, 'grpc-address', '127.0.0.1:19091');
    const standalone = createStandalone(values, {
      log,
      metrics,
      clock: Date.now,
      random: Math.random,
      replicaModule: REPLICA_MODULE,
      say: (line) => process.stdout.write(`gauntlet: ${line}\n`),
      ending: ending.signal,
      shownFlags: Object.fromEntries(shown),
    });
    const onReload = (): void => {
      standalone.reloadRules().catch((error: unknown) => log.error('reload rules by SIGHUP', { err: errorText(error) }));
    };
    const group = createRunGroup({ log, onReload });
    for (const part of standalone.parts) group.add(part);
    group.add({ name: 'welcome', start: () => void process.stdout.write(welcomeText(standalone.facts())) });
    await group.run();
    process.stdout.write('gauntlet: stopped, everything is kept\n');
  } catch (error) {
    process.stderr.write(`gauntlet: error: ${errorText(error)}\n`);
    process.exitCode = 1;
  } finally {
    process.off('SIGINT', end);
    process.off('SIGTERM', end);
  }
}
