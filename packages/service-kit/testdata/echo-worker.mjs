// Worker module of worker-pool.test.ts: does as the request says.
import { poolData, serveTasks } from '../dist/worker-task.js';

serveTasks(async (request, task) => {
  switch (request.do) {
    case 'echo':
      return { value: { got: request.value, kind: task.kind, data: poolData() } };
    case 'transfer': {
      const buffer = new ArrayBuffer(request.bytes);
      return { value: buffer, transfer: [buffer] };
    }
    case 'throw':
      throw Object.assign(new RangeError('too many'), { code: 'ERR_TOO_MANY', limit: 5, loop: () => 0 });
    case 'pieces': {
      for (let i = 0; i < request.count; i++) await task.send(i);
      return { value: 'sent' };
    }
    case 'wait':
      await new Promise((resolve) => task.signal.addEventListener('abort', resolve, { once: true }));
      throw task.signal.reason;
    case 'compute':
      void task.send('begun');
      for (;;) task.throwIfCancelled();
    case 'hang':
      void task.send('begun');
      for (;;);
    case 'exit':
      process.exit(3);
  }
  throw new Error(`unknown request ${request.do}`);
});
