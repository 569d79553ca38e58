/** Entry of the thread of the rules: a rules engine, driven by the messages of rules-protocol.ts. */
import { parentPort, workerData } from 'node:worker_threads';
import { createLogger, createMetrics, serveTasks, taskErrorData } from '@gauntlet/service-kit';
import { startRulesEngine } from './rules-engine.ts';
import type { FromRules, RulesCall, RulesThreadData, ToRules } from './rules-protocol.ts';

/** Time between looks at what is announced. */
const FACTS_MS = 5000;

const port = parentPort;
if (port === null) throw new Error('rules worker: this is not a worker thread');
const { settings, calls, flags } = workerData as RulesThreadData;
const post = (message: FromRules): void => port.postMessage(message);

try {
  const { level, format, name } = settings.log;
  const engine = startRulesEngine(settings, {
    log: createLogger({ level, format, ...(name === '' ? {} : { fields: { name } }) }).child({ component: 'rules' }),
    metrics: createMetrics(),
    clock: Date.now,
    random: Math.random,
    setTimer: (delayMs, run) => {
      const timer = setTimeout(run, delayMs);
      return () => clearTimeout(timer);
    },
  });
  let { mint } = engine.facts();
  const announce = (): void => {
    const facts = engine.facts();
    if (facts.mint === mint) return;
    mint = facts.mint;
    post({ type: 'facts', facts });
  };
  const announcing = setInterval(announce, FACTS_MS);
  serveTasks((request, task) => engine.call(request as RulesCall, task), { port: calls, flags, kind: 'rules' });
  port.on('message', (message: ToRules) => {
    switch (message.type) {
      case 'queries':
        engine.setQueryEndpoints(message.endpoints);
        break;
      case 'alertmanagers':
        engine.setAlertmanagers(message.endpoints);
        break;
      case 'request': {
        const { id, body } = message;
        engine.request(body).then(
          (value) => {
            if (body.kind === 'stop') clearInterval(announcing);
            else announce();
            post({ type: 'answer', id, value });
            if (body.kind !== 'stop') return;
            calls.close();
            port.close();
          },
          (error: unknown) => post({ type: 'refused', id, error: taskErrorData(error) }),
        );
        break;
      }
      default:
        message satisfies never;
    }
  });
  post({ type: 'ready', facts: engine.facts() });
} catch (error) {
  post({ type: 'failed', error: taskErrorData(error) });
  calls.close();
}
