/**
 * Sees to what the containers of tier 3 need, and says why where it cannot be had:
 *
 *   docker and compose installed?      no: skipped
 *   a daemon answers?                  no: one is started where GAUNTLET_START_DOCKERD=1 and dockerd is here, else skipped
 *   images there, or to be pulled?     no: stand-ins by ../shared/scripts/stand-in-images.sh where that exists, else skipped
 *
 * With GAUNTLET_REQUIRE_COMPOSE=1 a missing Docker is a failure. Images that nobody can get are not: then the machine is cut off.
 */
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, openSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';
import { root, run, say } from './bootstrap.mjs';

const works = (command, ...args) => spawnSync(command, args, { stdio: 'ignore' }).status === 0;
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Images that docker-compose.yml and the Dockerfile name. */
export function neededImages() {
  const dockerfile = readFileSync(join(root, 'deploy', 'image', 'Dockerfile'), 'utf8');
  const compose = readFileSync(join(root, 'docker-compose.yml'), 'utf8');
  const built = [...dockerfile.matchAll(/^ARG \w+_IMAGE=(\S+)$/gm)].map(([, image]) => image);
  const pulled = [...compose.matchAll(/^\s*image: \$\{\w+:-([^}]+:[^}]+)\}$/gm)].map(([, image]) => image);
  if (built.length < 2 || pulled.length < 4) throw new Error(`read the images of the stack: found ${[...built, ...pulled].join(', ')}`);
  return [...new Set([...built, ...pulled])];
}

/**
 * Makes everything ready.
 * @returns {Promise<{skip?: string, isCutOff?: boolean, stop: () => void}>} `skip`: why the tests cannot run; `isCutOff`: for want of images; `stop` ends what was started here
 */
export async function composeReady() {
  let stop = () => undefined;
  if (!works('docker', '--version')) return { skip: 'docker is not installed', stop };
  if (!works('docker', 'compose', 'version') && !works('docker-compose', 'version')) return { skip: 'neither docker compose nor docker-compose is installed', stop };
  if (!works('docker', 'info')) {
    if (process.env.GAUNTLET_START_DOCKERD !== '1') return { skip: 'no Docker daemon answers (GAUNTLET_START_DOCKERD=1 starts one, as root)', stop };
    const daemon = await startDaemon();
    if (daemon === undefined) return { skip: 'no Docker daemon answers, and none can be started here', stop };
    stop = () => daemon.kill('SIGTERM');
  }
  const missing = neededImages().filter((image) => !works('docker', 'image', 'inspect', image));
  let standIns = [];
  for (const [at, image] of missing.entries()) {
    say(`pulling ${image} …`);
    const { code, output } = await run('timeout', ['300', 'docker', 'pull', '--quiet', image], { quiet: true });
    if (code === 0) continue;
    say(`pull ${image}: ${output.trim().split('\n').at(-1)}`);
    // Where one cannot be had the others cannot either; asking for each takes minutes.
    standIns = missing.slice(at);
    break;
  }
  if (standIns.length > 0) {
    const script = join(process.env.GAUNTLET_SHARED ?? join(root, '..', 'shared'), 'scripts', 'stand-in-images.sh');
    if (!existsSync(script)) return { skip: `these images cannot be pulled: ${standIns.join(', ')}`, isCutOff: true, stop };
    say(`making stand-ins of ${standIns.join(', ')} …`);
    const { code, output } = await run(script, standIns, { quiet: true, env: { PATH: `${process.env.PATH}${delimiter}${join(homedir(), 'go', 'bin')}` } });
    if (code !== 0) return { skip: `stand-ins of images cannot be made: ${output.trim().split('\n').at(-1)}`, isCutOff: true, stop };
  }
  return { stop };
}

/** A daemon with the storage driver it finds best, over a folder of its own. */
async function startDaemon() {
  if (process.getuid?.() !== 0 || !works('dockerd', '--version')) return undefined;
  const dir = join(homedir(), '.cache', 'gauntlet-docker');
  mkdirSync(dir, { recursive: true });
  const log = openSync(join(dir, 'dockerd.log'), 'w');
  say('starting dockerd …');
  const daemon = spawn('dockerd', ['--data-root', join(dir, 'data')], { stdio: ['ignore', log, log] });
  let hasEnded = false;
  daemon.on('error', () => (hasEnded = true));
  daemon.on('exit', () => (hasEnded = true));
  process.once('exit', () => daemon.kill('SIGTERM'));
  for (let i = 0; i < 120 && !hasEnded; i++) {
    if (works('docker', 'info')) return daemon;
    await pause(250);
  }
  daemon.kill('SIGTERM');
  return undefined;
}
