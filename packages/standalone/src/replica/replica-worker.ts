/** Entry of a replica's thread: a replica, driven by the messages of replica-protocol.ts. */
import { parentPort, workerData } from 'node:worker_threads';
import { createLogger, createMetrics, taskErrorData } from '@gauntlet/service-kit';
import type { FromReplica, ReplicaSettings, ToReplica } from './replica-protocol.ts';
import { startReplica } from './replica.ts';

const port = parentPort;
if (port === null) throw new Error('replica worker: this is not a worker thread');
const settings = workerData as ReplicaSettings;
const post = (message: FromReplica): void => port.postMessage(message);

try {
  const log = createLogger({ level: settings.logLevel, format: settings.logFormat, fields: { replica: settings.name } });
  const replica = await startReplica(settings, { log, metrics: createMetrics(), clock: Date.now, random: Math.random });
  const cancelled = new AbortController();
  port.on('message', (message: ToReplica) => {
    switch (message.type) {
      case 'targets':
        replica.setTargets(message.jobs);
        break;
      case 'backfill':
        replica
          .backfill(message.plan, cancelled.signal, (blocksDone, blocks) => post({ type: 'backfill progress', blocksDone, blocks }))
          .then(
            () => post({ type: 'backfill done' }),
            (error: unknown) => post({ type: 'backfill failed', error: taskErrorData(error) }),
          );
        break;
      case 'cancel backfill':
        cancelled.abort();
        break;
      case 'stop':
        cancelled.abort();
        replica.stop().then(
          () => {
            post({ type: 'stopped' });
            port.close();
          },
          (error: unknown) => post({ type: 'failed', error: taskErrorData(error) }),
        );
        break;
      default:
        message satisfies never;
    }
  });
  post({ type: 'ready', grpcAddress: replica.grpcAddress, metricsAddress: replica.metricsAddress });
} catch (error) {
  post({ type: 'failed', error: taskErrorData(error) });
}
