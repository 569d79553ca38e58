/** Entry of bin/gauntlet. */
import { dispatch } from './command-line.ts';

const next = dispatch(process.argv.slice(2));
if (next.kind === 'exit') {
  process.stdout.write(next.stdout);
  process.stderr.write(next.stderr);
  process.exitCode = next.exitCode;
} else {
  const main = await next.load();
  await main(next.argv);
}
