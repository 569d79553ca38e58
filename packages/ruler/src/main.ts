/** `gauntlet rule`: flags in, a running ruler until a signal; SIGHUP reloads the rule files. */
import { BUILD_INFO, createLogger, createMetrics, createRunGroup, errorText, parseFlagsOrExit, registerProcessMetrics } from '@gauntlet/service-kit';
import { rulerFlags } from './flags.ts';
import { createRuler } from './ruler.ts';

/**
 * Runs the component until a signal; exits for `--help` and wrong flags, and sets the exit code.
 * @param argv arguments after the component's name
 */
export async function main(argv: readonly string[]): Promise<void> {
  const { values, shown, warnings } = parseFlagsOrExit({ name: 'rule', help: 'Recording and alerting rules over queriers, with a StoreAPI over the results and blocks of them in a bucket.', flags: rulerFlags, version: BUILD_INFO.version }, argv);
  const log = createLogger({ level: values.logLevel, format: values.logFormat, ...(values.debugName === '' ? {} : { fields: { name: values.debugName } }) });
  for (const warning of warnings) log.warn(warning);
  const metrics = createMetrics();
  registerProcessMetrics(metrics, BUILD_INFO);
  try {
    const ruler = await createRuler(values, { log, metrics, clock: Date.now, shownFlags: Object.fromEntries(shown) });
    const onReload = (): void => {
      // Problems of rule files are logged where they are found.
      ruler.reload().catch((error: unknown) => log.error('reload rules by SIGHUP', { err: errorText(error) }));
    };
    const group = createRunGroup({ log, onReload });
    for (const part of ruler.parts) group.add(part);
    log.info('starting rule node');
    await group.run();
  } catch (error) {
    log.error('running command failed', { command: 'rule', err: errorText(error) });
    process.exitCode = 1;
  }
}
