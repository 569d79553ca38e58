/** `gauntlet query`: flags in, a running querier until a signal. Also how other packages start one in their process. */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { BUILD_INFO, type Logger, type Metrics, createLogger, createMetrics, createRunGroup, parseFlagsOrExit, registerProcessMetrics } from '@gauntlet/service-kit';
import { type QuerierConfig, querierFlags } from './flags.ts';
import { type Querier, createQuerier } from './querier.ts';

const packageDir = fileURLToPath(new URL('..', import.meta.url));

/** The querier of this package's build, with the page of the `ui` package beside it. */
export function createBuiltQuerier(config: QuerierConfig, deps: { readonly log: Logger; readonly metrics: Metrics; readonly shownFlags: Readonly<Record<string, string>> }): Promise<Querier> {
  return createQuerier(config, {
    ...deps,
    clock: Date.now,
    uiDir: join(packageDir, '..', 'ui', 'dist'),
    workerModule: new URL(`file://${join(packageDir, 'dist', 'query-worker.js')}`),
  });
}

/**
 * Runs the component until a signal; exits for `--help` and wrong flags.
 * @param argv arguments after the component's name
 */
export async function main(argv: readonly string[]): Promise<void> {
  const { values, shown, warnings } = parseFlagsOrExit({ name: 'query', help: 'The global view: PromQL over all endpoints, deduplicated; HTTP API and UI.', flags: querierFlags, version: BUILD_INFO.version }, argv);
  const log = createLogger({ level: values.logLevel, format: values.logFormat, ...(values.debugName === '' ? {} : { fields: { name: values.debugName } }) });
  for (const warning of warnings) log.warn(warning);
  const metrics = createMetrics();
  registerProcessMetrics(metrics, BUILD_INFO);
  try {
    const querier = await createBuiltQuerier(values, { log, metrics, shownFlags: Object.fromEntries(shown) });
    const group = createRunGroup({ log });
    for (const part of querier.parts) group.add(part);
    await group.run();
  } catch (error) {
    log.error('query command failed', { err: error });
    process.exitCode = 1;
  }
}
