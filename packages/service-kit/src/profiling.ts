/**
 * /debug/pprof: V8's profiles in place of Go's, in the formats browser developer tools open. Off unless asked for, since a profile shows what the process works on.
 *
 *   /debug/pprof/profile?seconds=30    .cpuprofile       /debug/pprof/heap?seconds=30   .heapprofile (sampled allocations still alive)
 */
import { Session } from 'node:inspector/promises';
import type { Express, Request, Response } from 'express';

const SECONDS_DEFAULT = 30;
const SECONDS_MAX = 300;

/** Adds the routes; without `enabled` they answer 404 with the reason. */
export function registerProfiling(app: Express, enabled: boolean): void {
  if (!enabled) {
    app.use('/debug/pprof', (_request, response) => void response.status(404).type('text/plain').end('profiling is off in this process\n'));
    return;
  }
  let running = false;
  const profile = (suffix: string, take: (session: Session, seconds: number, signal: AbortSignal) => Promise<unknown>) => async (request: Request, response: Response) => {
    const seconds = Math.min(SECONDS_MAX, Number(request.query['seconds'] ?? SECONDS_DEFAULT));
    if (!(seconds >= 0)) {
      response.status(400).type('text/plain').end('seconds: wanted a number\n');
      return;
    }
    if (running) {
      response.status(409).type('text/plain').end('another profile is being taken\n');
      return;
    }
    running = true;
    const session = new Session();
    const gone = new AbortController();
    response.once('close', () => gone.abort());
    try {
      session.connect();
      const taken = await take(session, seconds, gone.signal);
      response.setHeader('Content-Disposition', `attachment; filename="gauntlet.${suffix}"`);
      response.type('application/json').end(JSON.stringify(taken));
    } finally {
      session.disconnect();
      running = false;
    }
  };
  app.get('/debug/pprof/', (_request, response) => void response.type('text/plain').end('profile?seconds=30   CPU profile (.cpuprofile)\nheap?seconds=30      sampled allocations (.heapprofile)\n'));
  app.get(
    '/debug/pprof/profile',
    profile('cpuprofile', async (session, seconds, signal) => {
      await session.post('Profiler.enable');
      await session.post('Profiler.start');
      await wait(seconds, signal);
      return (await session.post('Profiler.stop')).profile;
    }),
  );
  app.get(
    '/debug/pprof/heap',
    profile('heapprofile', async (session, seconds, signal) => {
      await session.post('HeapProfiler.startSampling');
      await wait(seconds, signal);
      return (await session.post('HeapProfiler.stopSampling')).profile;
    }),
  );
}

function wait(seconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(done, seconds * 1000);
    function done(): void {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    }
    signal.addEventListener('abort', done, { once: true });
  });
}
