/** `npm run typecheck`: sources, tests, benchmarks and end-to-end tests, nothing emitted. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { build, install, root, run } from './bootstrap.mjs';

await install('test');
await build();
const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc');
let failed = 0;
for (const project of ['tsconfig.check.json', 'packages/ui/tsconfig.json']) {
  if (!existsSync(join(root, project))) continue;
  failed += (await run(process.execPath, [tsc, '-p', project, '--pretty', 'false'])).code;
}
process.exit(failed === 0 ? 0 : 1);
