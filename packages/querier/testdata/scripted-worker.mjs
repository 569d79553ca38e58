// Worker module of query-runner.test.ts: does what the name of the task says.
import { threadId } from 'node:worker_threads';
import { MemoryLedger, poolData, serveTasks } from '@gauntlet/service-kit/worker';

const ledger = new MemoryLedger(poolData().ledger);
const report = (value) => ({ value: { isMainThread: false, mergedSeries: 0, decodedChunks: 0, samples: 0, encodedBytes: 0, peakBytes: 0, value } });

serveTasks(async ({ name }, task) => {
  const account = ledger.openAccount(name, 1 << 30, threadId);
  account.reserve(1 << 20);
  try {
    switch (name) {
      case 'kind':
        return report(task.kind);
      case 'hang':
        for (;;);
      case 'outgrow':
        if (task.kind === 'shared') throw Object.assign(new Error('the query needs a worker of its own'), { code: 'ERR_QUERY_OUTGROWN' });
        for (let piece = 0; piece < 3; piece++) await task.send(piece);
        return report(task.kind);
      case 'answer':
        await task.send('head');
        await task.send('body');
        return report(task.kind);
      case 'wait':
        await new Promise((resolve) => task.signal.addEventListener('abort', resolve, { once: true }));
        throw task.signal.reason;
    }
    throw Object.assign(new Error(`unknown task ${name}`), { code: 'ERR_BAD_DATA' });
  } finally {
    account.close();
  }
});
