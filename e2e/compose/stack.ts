/**
 * The stack of docker-compose.yml under a project name of its own, on ports that Docker picks, with an image tag of its own. Both
 * `docker compose` and docker-compose 1.29 will do.
 */
import { spawn, spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { waitFor } from '../harness/process.ts';

/** The checkout. */
export const ROOT: string = join(import.meta.dirname, '..', '..');
/** Every published port: 0 lets Docker pick. */
const PORTS = ['GAUNTLET_HTTP_PORT', 'GAUNTLET_GRPC_PORT', 'GAUNTLET_RULE_PORT', 'GAUNTLET_COMPACT_PORT', 'PROMETHEUS_A_PORT', 'PROMETHEUS_B_PORT', 'MINIO_CONSOLE_PORT', 'ALERTMANAGER_PORT', 'WEBHOOK_PORT'];

/** What a command gave. */
export interface Outcome {
  readonly code: number | null;
  /** Standard output. */
  readonly stdout: string;
  /** Both streams (last 200 kB). */
  readonly output: string;
}

/** A container, as `docker inspect` shows it. */
export interface Container {
  readonly Id: string;
  readonly Config: { readonly User: string; readonly Image: string; readonly Labels: Readonly<Record<string, string>> };
  readonly HostConfig: {
    readonly ReadonlyRootfs: boolean;
    readonly CapDrop: readonly string[] | null;
    readonly CapAdd: readonly string[] | null;
    readonly SecurityOpt: readonly string[] | null;
    readonly Memory: number;
    readonly Privileged: boolean;
    readonly PortBindings: Readonly<Record<string, readonly { readonly HostIp: string }[] | null>> | null;
  };
  readonly State: { readonly Status: string; readonly ExitCode: number; readonly OOMKilled: boolean; readonly Health?: { readonly Status: string } };
  readonly RestartCount: number;
}

/** Runs a command in the root of the checkout to its end. */
export function run(command: string, args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Outcome> {
  return new Promise((resolve) => {
    const child = spawn(command, args, { cwd: ROOT, env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
    let stdout = '';
    let output = '';
    child.stdout.on('data', (data: Buffer) => {
      stdout += data.toString();
      output = (output + data.toString()).slice(-200_000);
    });
    child.stderr.on('data', (data: Buffer) => void (output = (output + data.toString()).slice(-200_000)));
    child.on('error', (error) => resolve({ code: 127, stdout, output: String(error) }));
    child.on('close', (code) => resolve({ code, stdout, output }));
  });
}

/** The command for compose on this machine. @throws when there is none */
function composeCommand(): readonly [string, ...string[]] {
  if (spawnSync('docker', ['compose', 'version'], { stdio: 'ignore' }).status === 0) return ['docker', 'compose'];
  if (spawnSync('docker-compose', ['version'], { stdio: 'ignore' }).status === 0) return ['docker-compose'];
  throw new Error('neither docker compose nor docker-compose is installed');
}

/** See the head of this file. */
export class Stack {
  readonly project: string;
  readonly image: string = 'gauntlet:e2e';
  readonly #command: readonly [string, ...string[]];

  constructor(project: string) {
    this.project = project;
    this.#command = composeCommand();
  }

  get #env(): Record<string, string> {
    return { ...Object.fromEntries(PORTS.map((name) => [name, '0'])), GAUNTLET_IMAGE: this.image, COMPOSE_PROJECT_NAME: this.project };
  }

  /** Runs compose. @throws with its output when it does not succeed */
  async compose(...args: readonly string[]): Promise<string> {
    const [program, ...words] = this.#command;
    const { code, stdout, output } = await run(program, [...words, ...args], this.#env);
    if (code !== 0) throw new Error(`${this.#command.join(' ')} ${args.join(' ')}: exit ${code}\n${output.slice(-6000)}`);
    return stdout;
  }

  /** Runs a program in a container of a service. */
  exec(service: string, ...args: readonly string[]): Promise<string> {
    return this.compose('exec', '-T', service, ...args);
  }

  /** `http://127.0.0.1:port` of a published port. */
  async url(service: string, port: number): Promise<string> {
    const address = (await this.compose('port', service, String(port))).trim();
    if (!/^127\.0\.0\.1:\d+$/.test(address)) throw new Error(`port ${port} of ${service}: published at '${address}', wanted 127.0.0.1`);
    return `http://${address}`;
  }

  /** Containers by service. */
  async containers(): Promise<Map<string, Container>> {
    const ids = (await run('docker', ['ps', '-aq', '--filter', `label=com.docker.compose.project=${this.project}`])).stdout.trim().split('\n').filter((id) => id !== '');
    if (ids.length === 0) return new Map();
    const all = JSON.parse((await run('docker', ['inspect', ...ids])).stdout) as Container[];
    return new Map(all.map((container) => [container.Config.Labels['com.docker.compose.service']!, container]));
  }

  /** Waits until every container is healthy (or runs, where it has no check), and those that run once have ended well. @throws at once when one has failed for good */
  async healthy(timeoutMs: number): Promise<Map<string, Container>> {
    let failure: Error | undefined;
    const containers = await waitFor('a healthy stack', async () => {
      const all = await this.containers();
      const waiting: string[] = [];
      for (const [service, { State, RestartCount }] of all) {
        if (State.Status === 'exited' && State.ExitCode === 0) continue;
        if (State.Status === 'exited' || RestartCount > 3) {
          failure = new Error(`${service}: ${State.Status} with ${State.ExitCode}, restarted ${RestartCount} times\n${await this.logs(service)}`);
          return all;
        }
        if (State.Status !== 'running' || (State.Health !== undefined && State.Health.Status !== 'healthy')) waiting.push(`${service} ${State.Health?.Status ?? State.Status}`);
      }
      if (waiting.length > 0) throw new Error(waiting.join(', '));
      return all;
    }, { timeoutMs });
    if (failure !== undefined) throw failure;
    return containers;
  }

  /** The last lines a service has written. */
  async logs(service: string): Promise<string> {
    const container = (await this.containers()).get(service);
    return container === undefined ? '' : (await run('docker', ['logs', '--tail', '40', container.Id])).output;
  }

  /** Names of what is left of the project: containers, volumes, networks. */
  async leftovers(): Promise<string[]> {
    const filter = ['--filter', `label=com.docker.compose.project=${this.project}`, '--format'];
    const outcomes = await Promise.all([
      run('docker', ['ps', '-a', ...filter, 'container {{.Names}}']),
      run('docker', ['volume', 'ls', ...filter, 'volume {{.Name}}']),
      run('docker', ['network', 'ls', ...filter, 'network {{.Name}}']),
    ]);
    const failed = outcomes.find(({ code }) => code !== 0);
    if (failed !== undefined) throw new Error(`list what is left: ${failed.output}`);
    return outcomes.flatMap(({ stdout }) => stdout.split('\n')).filter((line) => line !== '');
  }
}
