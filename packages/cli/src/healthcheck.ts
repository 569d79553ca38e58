/**
 * `gauntlet healthcheck`: asks a component whether it is well, for containers without a shell. Loads nothing of the services, so
 * that asking every few seconds costs little.
 *
 *   exit 0   the answer was 2xx
 *   exit 1   anything else: the reason is on standard error
 */
import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';

const USAGE = `usage: gauntlet healthcheck [<flags>]

Asks a component whether it is well; exit code 0 for a good answer, 1 for any other.

Flags:
  --url=http://127.0.0.1:10902/-/healthy   What to ask. Of https the certificate is not checked: this asks the own process.
  --timeout=2s                             Most time for it: a number with ms or s.
`;

/** What a command line of healthcheck means. */
export type HealthQuestion =
  | { readonly kind: 'ask'; readonly url: URL; readonly timeoutMs: number }
  | { readonly kind: 'exit'; readonly exitCode: number; readonly stdout: string; readonly stderr: string };

/** Reads the arguments after `healthcheck`; never throws. */
export function parseHealthcheck(argv: readonly string[]): HealthQuestion {
  const refuse = (why: string): HealthQuestion => ({ kind: 'exit', exitCode: 1, stdout: '', stderr: `gauntlet: error: ${why} (try gauntlet healthcheck --help)\n` });
  let url = 'http://127.0.0.1:10902/-/healthy';
  let timeout = '2s';
  for (const argument of argv) {
    if (argument === '--help' || argument === '-h') return { kind: 'exit', exitCode: 0, stdout: USAGE, stderr: '' };
    const [, name, value] = /^--(url|timeout)=(.*)$/.exec(argument) ?? [];
    if (name === 'url') url = value!;
    else if (name === 'timeout') timeout = value!;
    else return refuse(`healthcheck: unknown argument '${argument}'`);
  }
  const [, count, unit] = /^(\d+)(ms|s)$/.exec(timeout) ?? [];
  const timeoutMs = Number(count) * (unit === 's' ? 1000 : 1);
  if (count === undefined || timeoutMs === 0) return refuse(`healthcheck: --timeout: wanted a number with ms or s, got '${timeout}'`);
  if (!URL.canParse(url) || !/^https?:$/.test(new URL(url).protocol)) return refuse(`healthcheck: --url: wanted an http or https URL, got '${url}'`);
  return { kind: 'ask', url: new URL(url), timeoutMs };
}

/** Asks. @returns undefined when all is well, else what is wrong */
export function askHealth(url: URL, timeoutMs: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const done = (reason: string | undefined): void => {
      clearTimeout(timer);
      resolve(reason);
    };
    const shown = `${url.origin}${url.pathname}`;
    const options = { timeout: timeoutMs, agent: false as const };
    const request = url.protocol === 'https:' ? httpsRequest(url, { ...options, rejectUnauthorized: false }) : httpRequest(url, options);
    const timer = setTimeout(() => request.destroy(new Error(`no answer in ${timeoutMs} ms`)), timeoutMs);
    request.on('response', (response) => {
      const status = response.statusCode ?? 0;
      response.resume();
      done(status >= 200 && status < 300 ? undefined : `${shown}: HTTP ${status}`);
      request.destroy();
    });
    request.on('error', (error) => done(`${shown}: ${error.message}`));
    request.end();
  });
}

/** Runs the command and sets the exit code. @param argv arguments after `healthcheck` */
export async function healthcheck(argv: readonly string[]): Promise<void> {
  const question = parseHealthcheck(argv);
  if (question.kind === 'exit') {
    process.stdout.write(question.stdout);
    process.stderr.write(question.stderr);
    process.exitCode = question.exitCode;
    return;
  }
  const problem = await askHealth(question.url, question.timeoutMs);
  if (problem === undefined) return;
  process.stderr.write(`gauntlet: ${problem}\n`);
  process.exitCode = 1;
}
