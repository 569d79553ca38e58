/** Entry of bin/gauntlet. The health check comes first and loads nothing else: containers ask it every few seconds. */
import type { Dispatch } from './command-line.ts';

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
    return;
  }
  process.stdout.write(next.stdout);
  process.stderr.write(next.stderr);
  process.exitCode = next.exitCode;
}
