/** `gauntlet demo <command>`: the parts a demonstration needs around the components. */
import { once } from 'node:events';
import { BUILD_INFO, errorText, type FlagTable, nearestName, parseFlagsOrExit, parseListenAddress, type FlagValues } from '@gauntlet/service-kit';
import { makeBucketFromConfig } from '@gauntlet/objstore';
import { DemoError } from './errors.ts';
import { historyFlags, makeBucketFlags, shopFlags, webhookFlags } from './flags.ts';
import { runHistory } from './history/run-history.ts';
import type { Listening } from './listen-on.ts';
import { startSampleService } from './shop/sample-service.ts';
import { startWebhookReceiver } from './webhook/webhook-receiver.ts';

interface DemoCommand {
  readonly summary: string;
  run(argv: readonly string[], signal: AbortSignal): Promise<void>;
}

const say = (line: string): void => void process.stdout.write(`${line}\n`);

function command<T extends FlagTable>(name: string, summary: string, flags: T, run: (values: FlagValues<T>, signal: AbortSignal) => Promise<void>): DemoCommand {
  return { summary, run: (argv, signal) => run(parseFlagsOrExit({ name: `demo ${name}`, help: `${summary}.`, flags, version: BUILD_INFO.version }, argv).values, signal) };
}

/** By name, in the order of help. */
const COMMANDS: ReadonlyMap<string, DemoCommand> = new Map([
  ['shop', command('shop', 'A small web shop as metrics: /shop-<n>/metrics for each instance', shopFlags, ({ httpAddress, instances }, signal) => {
    const { host, port } = parseListenAddress(httpAddress);
    return serve('shop', startSampleService({ host, port, instances, clock: Date.now }), signal);
  })],
  ['webhook', command('webhook', 'Takes the webhooks of an Alertmanager, writes a line for each alert, and shows them at /alerts', webhookFlags, ({ httpAddress, alertsMax }, signal) => {
    const { host, port } = parseListenAddress(httpAddress);
    return serve('webhook', startWebhookReceiver({ host, port, alertsMax, clock: Date.now, say }), signal);
  })],
  ['bucket', command('bucket', 'Makes the bucket of an object store configuration, where it is not there yet', makeBucketFlags, async ({ objstoreConfig }, signal) => {
    const { name, outcome } = await makeBucketFromConfig(objstoreConfig.content(), { component: 'demo', source: objstoreConfig.source, random: Math.random, signal });
    say(`bucket ${name}: ${outcome === 'made' ? 'made' : 'there already'}`);
  })],
  ['history', command('history', 'Fills a bucket with the past of the shop, generated and not measured, where it is not there yet', historyFlags, async (config, signal) => {
    await runHistory(config, { say, clock: Date.now, signal });
  })],
]);

/** Text of `gauntlet demo --help`. */
export function demoHelp(): string {
  const rows = [...COMMANDS].map(([name, { summary }]) => `  ${name.padEnd(10)}${summary}`);
  return `usage: gauntlet demo <command> [<flags> ...]\n\nWhat a demonstration needs around the components.\n\nCommands:\n${rows.join('\n')}\n\n\`gauntlet demo <command> --help\` lists its flags.\n`;
}

/** The command of that name. @throws DemoError ERR_COMMAND with the nearest name */
export function findDemoCommand(name: string): DemoCommand {
  const found = COMMANDS.get(name);
  if (found !== undefined) return found;
  const near = nearestName(name, [...COMMANDS.keys()]);
  throw new DemoError('ERR_COMMAND', `expected a command of demo but got "${name}"${near === undefined ? '' : `, did you mean "${near}"?`} (try gauntlet demo --help)`);
}

async function serve(name: string, starting: Promise<Listening>, signal: AbortSignal): Promise<void> {
  const listening = await starting;
  say(`${name}: listening on ${listening.address}`);
  if (!signal.aborted) await once(signal, 'abort');
  await listening.stop();
}

/**
 * Runs a command until it is done or a signal arrives.
 * @param argv arguments after `demo`
 */
export async function main(argv: readonly string[]): Promise<void> {
  const [name, ...rest] = argv;
  if (name === undefined || name === '--help' || name === '-h' || name === 'help') {
    process.stdout.write(demoHelp());
    process.exitCode = name === undefined ? 1 : 0;
    return;
  }
  const ending = new AbortController();
  const end = (): void => ending.abort();
  process.once('SIGINT', end);
  process.once('SIGTERM', end);
  try {
    await findDemoCommand(name).run(rest, ending.signal);
  } catch (error) {
    process.stderr.write(`gauntlet: error: ${errorText(error)}\n`);
    process.exitCode = 1;
  } finally {
    process.off('SIGINT', end);
    process.off('SIGTERM', end);
  }
}
