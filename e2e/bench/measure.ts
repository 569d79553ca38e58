/** What benchmarks of processes measure with: one keep-alive client, CPU time and peak memory of a process from procfs. */
import { type Agent, get } from 'node:http';
import { readdirSync, readFileSync } from 'node:fs';

/** Milliseconds of CPU all threads of a process have used. Threads that have ended are not in it. */
export function cpuMs(pid: number): number {
  let nanoseconds = 0;
  for (const task of readdirSync(`/proc/${pid}/task`)) {
    try {
      nanoseconds += Number(readFileSync(`/proc/${pid}/task/${task}/schedstat`, 'utf8').split(' ')[0]);
    } catch {
      // The thread has ended meanwhile.
    }
  }
  return nanoseconds / 1e6;
}

/** Peak resident memory of a process since its start, MiB. */
export function peakRssMb(pid: number): number {
  return Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]) / 1024;
}

export interface Fetched {
  readonly ms: number;
  readonly bytes: number;
  readonly text: string;
}

/** Fetches a URL over the agent's connection; the text is put together after the clock has stopped. */
export function fetchTimed(url: string, agent: Agent): Promise<Fetched> {
  return new Promise((resolve, reject) => {
    const started = performance.now();
    get(url, { agent }, (response) => {
      const pieces: Buffer[] = [];
      let bytes = 0;
      response.on('data', (piece: Buffer) => {
        pieces.push(piece);
        bytes += piece.length;
      });
      response.on('end', () => {
        const ms = performance.now() - started;
        resolve({
          ms,
          bytes,
          get text() {
            return Buffer.concat(pieces).toString('utf8');
          },
        });
      });
      response.on('error', reject);
    }).on('error', reject);
  });
}

/** Middle of the values, the upper one of two. */
export function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1]!;
}

/** Bytes a process has read from files and sockets since its start. */
export function readBytes(pid: number): number {
  return Number(/rchar: (\d+)/.exec(readFileSync(`/proc/${pid}/io`, 'utf8'))![1]);
}
