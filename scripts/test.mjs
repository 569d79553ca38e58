/**
 * `npm test`            tier 1: structure, unit, property, contract and golden tests, whole processes on loopback
 * `npm run test:peers`  tier 2: the same system with real Prometheus, MinIO, Alertmanager, Chromium
 * `npm run test:compose` tier 3: the containers of docker-compose.yml; skipped, with the reason, where there is no Docker
 *
 * Arguments after `--` go to jest (a path, -t NAME). The closing line is `N passed, N failed, N skipped`.
 */
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { build, install, root, run, say } from './bootstrap.mjs';
import { composeReady } from './compose-ready.mjs';

const argv = process.argv.slice(2);
const tier = argv.includes('--peers') ? 'peers' : argv.includes('--compose') ? 'compose' : 'tier1';
const jestArgs = argv.filter((arg) => arg !== '--peers' && arg !== '--compose');

const compose = tier === 'compose' ? await composeReady() : undefined;
if (compose?.skip !== undefined) {
  compose.stop();
  const isFailure = process.env.GAUNTLET_REQUIRE_COMPOSE === '1' && compose.isCutOff !== true;
  say(`compose: ${isFailure ? 'cannot run' : 'skipped'}, ${compose.skip}`);
  console.log(`0 passed, ${isFailure ? 1 : 0} failed, ${isFailure ? 0 : 1} skipped`);
  process.exit(isFailure ? 1 : 0);
}

await install('test');
await build();

let failedChecks = 0;
if (tier === 'tier1' && jestArgs.length === 0) {
  const { code } = await run(process.execPath, [join(root, 'scripts', 'tidy.mjs')]);
  if (code !== 0) failedChecks++;
}

const results = join(root, '.cache', `jest-${tier}.json`);
mkdirSync(join(root, '.cache'), { recursive: true });
const projects = { tier1: 'jest.config.mjs', peers: 'e2e/jest.peers.config.mjs', compose: 'e2e/jest.compose.config.mjs' };
let counts = { passed: 0, failed: 0, skipped: 0 };
if (!existsSync(join(root, projects[tier]))) {
  say(`${tier}: there is no ${projects[tier]}`);
  failedChecks++;
} else {
  const { code } = await run(process.execPath, [
    '--experimental-vm-modules', '--no-warnings', '--max-old-space-size=4096',
    join(root, 'node_modules', 'jest', 'bin', 'jest.js'),
    '--config', join(root, projects[tier]), tier === 'tier1' ? '--maxWorkers=2' : '--runInBand',
    '--json', `--outputFile=${results}`, ...jestArgs,
  ]);
  if (existsSync(results)) {
    const report = JSON.parse(readFileSync(results, 'utf8'));
    counts = { passed: report.numPassedTests, failed: report.numFailedTests + report.numRuntimeErrorTestSuites, skipped: report.numPendingTests + report.numTodoTests };
  }
  if (code !== 0 && counts.failed === 0) counts.failed++;
}
compose?.stop();
console.log(`${counts.passed} passed, ${counts.failed + failedChecks} failed, ${counts.skipped} skipped`);
process.exit(counts.failed + failedChecks === 0 && counts.passed > 0 ? 0 : 1);
