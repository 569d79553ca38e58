/** Entry of bin/gauntlet. The health check comes first and loads nothing else: containers ask it every few seconds. */
import type { Dispatch } from './command-line.ts';

/** A connect to a host that has vanished keeps a process alive until the kernel gives up, minutes later. When a component has ended, so does the process. */
const LINGER_MS = 1000;

const argv = process.argv.slice(2);
if (argv[0] === 'healthcheck') {
  const { healthcheck } = await import('./healthcheck.ts');
  await healthcheck(argv.slice(1));
} else {
  const { dispatch } = await import('./command-line.ts');
  await follow(dispatch(argv));
}

async function follow(next: Dispatch): Promise<void> {
  if (next.kind === 'run') {
    const main = await next.load();
    await main(next.argv);
    endSoon();
    return;
  }
  process.stdout.write(next.stdout);
  process.stderr.write(next.stderr);
  process.exitCode = next.exitCode;
}

/** Ends the process, once what it has written is out; sooner when nothing else keeps it. */
function endSoon(): void {
  setTimeout(() => (process.stdout.writableLength + process.stderr.writableLength > 0 ? endSoon() : process.exit()), LINGER_MS).unref();
}
