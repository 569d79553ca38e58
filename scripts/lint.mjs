/** `npm run lint`: oxlint (type-aware rules included), the structure rules of tidy.mjs, and whether the flag tables of the documentation are current. */
import { join } from 'node:path';
import { build, install, root, run, say } from './bootstrap.mjs';

await install('test');
await build();
const bin = join(root, 'node_modules', '.bin');
const oxlint = await run(join(bin, 'oxlint'), ['--type-aware', '--deny-warnings', 'packages', 'e2e', 'scripts', 'bin']);
const tidy = await run(process.execPath, [join(root, 'scripts', 'tidy.mjs')]);
const flagDocs = await run(process.execPath, [join(root, 'scripts', 'gen-flag-docs.mjs'), '--check']);
if (oxlint.code !== 0 || tidy.code !== 0 || flagDocs.code !== 0) {
  say('lint: problems above');
  process.exit(1);
}
