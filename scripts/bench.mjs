/**
 * `npm run bench [-- name…]`: runs every *.bench.ts (or those whose path holds one of the names), one after the other.
 * GAUNTLET_BENCH_SMALL=1 shrinks them to a smoke run, as CI does.
 */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { build, install, root, run, say } from './bootstrap.mjs';

await install('test');
await build();

function* benches(dir) {
  for (const entry of readdirSync(join(root, dir), { withFileTypes: true })) {
    if (entry.name === 'node_modules' || entry.name === 'dist') continue;
    const path = join(dir, entry.name);
    if (entry.isDirectory()) yield* benches(path);
    else if (entry.name.endsWith('.bench.ts')) yield path;
  }
}

const names = process.argv.slice(2);
let failed = 0;
let count = 0;
for (const dir of ['packages', 'e2e']) {
  if (!existsSync(join(root, dir))) continue;
  for (const path of benches(dir)) {
    if (names.length > 0 && !names.some((name) => path.includes(name))) continue;
    say(`bench ${path}`);
    count++;
    if ((await run(process.execPath, ['--import', 'tsx', join(root, path)])).code !== 0) failed++;
  }
}
say(`${count} benchmarks, ${failed} failed`);
process.exit(failed === 0 && count > 0 ? 0 : 1);
