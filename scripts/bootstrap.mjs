/**
 * Brings a fresh clone to the point where things run, with nothing but Node and npm:
 *
 *   1. the pinned pnpm, into .cache/ (never global)
 *   2. packages from the frozen lockfile; `run` installs what building and running need, `test` everything
 *   3. builds, keyed by a content hash of their inputs: a second call is a no-op
 */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';

export const root = join(import.meta.dirname, '..');
const cacheDir = join(root, '.cache');

/** One progress line on stderr. */
export function say(text) {
  process.stderr.write(`gauntlet: ${text}\n`);
}

/** Ends the process with a message a user can act on. */
export function fail(text) {
  say(text);
  process.exit(1);
}

/**
 * Runs a command to its end.
 * @returns {Promise<{code: number, output: string}>} output is kept (last 200 kB) whether or not it is shown
 */
export function run(command, args, { quiet = false, env = {}, cwd = root } = {}) {
  return new Promise((resolve) => {
    const child = spawn(command, args, { cwd, env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    const take = (stream) => (data) => {
      output = (output + data).slice(-200_000);
      if (!quiet) stream.write(data);
    };
    child.stdout.on('data', take(process.stdout));
    child.stderr.on('data', take(process.stderr));
    child.on('error', (error) => resolve({ code: 127, output: String(error) }));
    child.on('close', (code, signal) => resolve({ code: code ?? (signal ? 128 : 1), output }));
  });
}

const UNREACHABLE = /ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ETIMEDOUT|ECONNRESET|ENETUNREACH|EHOSTUNREACH|network request|dns error|error sending request|tcp connect/i;

function explainInstallFailure(what, output) {
  const tail = output.trim().split('\n').slice(-15).join('\n');
  process.stderr.write(`${tail}\n`);
  if (UNREACHABLE.test(output)) {
    fail(
      `${what}: the package registry is out of reach.\n` +
        '  Check the network, or point npm at a registry you can reach (npm config set registry …, HTTPS_PROXY=…), and run the command again.\n' +
        '  Everything already downloaded is kept.',
    );
  }
  fail(`${what}: stopped with the error above.`);
}

async function pnpmPath() {
  const { packageManager } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  const version = packageManager.split('@')[1];
  const dir = join(cacheDir, `pnpm-${version}`);
  const bin = join(dir, 'node_modules', '.bin', process.platform === 'win32' ? 'pnpm.cmd' : 'pnpm');
  if (existsSync(join(dir, '.complete'))) return bin;
  say(`fetching pnpm ${version} …`);
  mkdirSync(dir, { recursive: true });
  writeFileSync(join(dir, 'package.json'), '{"private":true}\n');
  const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm';
  const { code, output } = await run(npm, ['install', '--no-audit', '--no-fund', '--no-package-lock', '--save-exact', `pnpm@${version}`], { quiet: true, cwd: dir });
  if (code !== 0) explainInstallFailure(`fetch pnpm ${version}`, output);
  writeFileSync(join(dir, '.complete'), '');
  return bin;
}

/** Files under `dirs` (relative to the root) in a fixed order; build outputs left out. */
function* files(dirs) {
  for (const dir of dirs) {
    const full = join(root, dir);
    if (!existsSync(full)) continue;
    const entries = readdirSync(full, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1));
    for (const entry of entries) {
      if (entry.name === 'node_modules' || entry.name === 'dist' || entry.name === 'testdata') continue;
      const path = join(dir, entry.name);
      if (entry.isDirectory()) yield* files([path]);
      else yield path;
    }
  }
}

function contentHash(paths) {
  const hash = createHash('sha256');
  for (const path of paths) hash.update(path).update('\0').update(readFileSync(join(root, path))).update('\0');
  return hash.digest('hex');
}

const packageDirs = () => readdirSync(join(root, 'packages')).sort().map((name) => join('packages', name));
const manifestDirs = () => [...packageDirs(), 'e2e'];

/**
 * Installs packages from the lockfile.
 * @param {'run'|'test'} mode `run`: what `npm start` needs; `test`: development tools too
 */
export async function install(mode) {
  const hash = contentHash(['package.json', 'pnpm-lock.yaml', 'pnpm-workspace.yaml', ...manifestDirs().map((dir) => join(dir, 'package.json'))]);
  const stamp = join(root, 'node_modules', `.gauntlet-install-${mode}`);
  const full = join(root, 'node_modules', '.gauntlet-install-test');
  for (const file of [stamp, full]) if (existsSync(file) && readFileSync(file, 'utf8') === hash) return;
  const pnpm = await pnpmPath();
  say(mode === 'run' ? 'installing packages (frozen lockfile, what running needs) …' : 'installing packages (frozen lockfile, with development tools) …');
  const args = ['install', '--frozen-lockfile', ...(mode === 'run' ? ['--prod'] : [])];
  const { code, output } = await run(pnpm, args, { quiet: !process.stderr.isTTY, env: { CI: 'true' } });
  if (code !== 0) explainInstallFailure('install packages', output);
  writeFileSync(stamp, hash);
}

/** Downloads what running needs, by the lockfile alone; `install` then finds it. */
export async function fetchPackages() {
  const pnpm = await pnpmPath();
  say('downloading packages (frozen lockfile, what running needs) …');
  const { code, output } = await run(pnpm, ['fetch', '--prod'], { quiet: !process.stderr.isTTY, env: { CI: 'true' } });
  if (code !== 0) explainInstallFailure('download packages', output);
}

async function stage(name, inputs, outputs, build) {
  const hash = contentHash(inputs);
  const stamp = join(cacheDir, 'build', `${name}.sha256`);
  const fresh = existsSync(stamp) && readFileSync(stamp, 'utf8') === hash && outputs.every((path) => existsSync(join(root, path)));
  if (fresh) return;
  const started = Date.now();
  say(`building ${name} …`);
  await build();
  mkdirSync(join(cacheDir, 'build'), { recursive: true });
  writeFileSync(stamp, hash);
  say(`built ${name} in ${((Date.now() - started) / 1000).toFixed(1)} s`);
}

/** Builds all packages and the UI. */
export async function build() {
  const dirs = packageDirs();
  const code = dirs.filter((dir) => dir !== join('packages', 'ui'));
  const sources = [...files(code)].filter((path) => !/\.(test|bench)\.ts$/.test(path));
  await stage('packages', ['tsconfig.base.json', 'tsconfig.json', ...sources], code.map((dir) => join(dir, 'dist', 'index.js')), async () => {
    const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc');
    const result = await run(process.execPath, [tsc, '-b', '--pretty', 'false']);
    if (result.code !== 0) fail('build packages: the compiler found the errors above.');
  });
  if (existsSync(join(root, 'packages', 'ui', 'index.html'))) {
    await stage('ui', [...files([join('packages', 'ui')])], [join('packages', 'ui', 'dist', 'index.html')], async () => {
      const vite = join(root, 'packages', 'ui', 'node_modules', 'vite', 'bin', 'vite.js');
      const result = await run(process.execPath, [vite, 'build', '--logLevel', 'warn'], { cwd: join(root, 'packages', 'ui') });
      if (result.code !== 0) fail('build ui: vite found the errors above.');
    });
  }
}

/** The path as a user would type it from the root of the checkout. */
export function shown(path) {
  return relative(root, path) || '.';
}
