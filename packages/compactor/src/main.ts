/** `gauntlet compact`: flags in, a running compactor until it is done or told to stop. */
import { BUILD_INFO, createLogger, createMetrics, createRunGroup, errorText, parseFlagsOrExit, registerProcessMetrics } from '@gauntlet/service-kit';
import { type CompactorDeps, createCompactor } from './compactor.ts';
import { type CompactorConfig, compactorFlags } from './flags.ts';

/** Runs a compactor until its work is done (without --wait) or it is told to stop. @throws what ended it */
export async function run(config: CompactorConfig, deps: CompactorDeps, signal?: AbortSignal): Promise<void> {
  const compactor = await createCompactor(config, deps);
  const group = createRunGroup({ log: deps.log });
  for (const part of compactor.parts) group.add(part);
  deps.log.info('starting compact node');
  await group.run(signal);
}

/**
 * `gauntlet compact` with these arguments; sets the exit code.
 * @param argv arguments after the component's name
 */
export async function main(argv: readonly string[]): Promise<void> {
  const command = { name: 'compact', help: 'Continuously compacts blocks in an object store bucket.', flags: compactorFlags, version: BUILD_INFO.version };
  // The one short flag Thanos has here.
  const { values, shown, warnings } = parseFlagsOrExit(command, argv.map((argument) => (argument === '-w' ? '--wait' : argument)));
  const log = createLogger({ level: values.logLevel, format: values.logFormat, ...(values.debugName === '' ? {} : { fields: { name: values.debugName } }) });
  for (const warning of warnings) log.warn(warning);
  const metrics = createMetrics();
  registerProcessMetrics(metrics, BUILD_INFO);
  try {
    await run(values, { log, metrics, clock: Date.now, shownFlags: Object.fromEntries(shown) });
  } catch (error) {
    log.error('compact command failed', { err: errorText(error) });
    process.exitCode = 1;
  }
}
