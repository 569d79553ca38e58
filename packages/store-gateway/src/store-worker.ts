/** The worker thread of the store gateway: one module, started by the pool of task-runner.ts. */
import type { MessagePort } from 'node:worker_threads';
import { poolData, serveTasks } from '@gauntlet/service-kit/worker';
import { createPortBlockIo } from './block-io-port.ts';
import { FrameTools } from './block-series.ts';
import { FrameMemory } from './frame-memory.ts';
import { createHeaderCache } from './header-cache.ts';
import { ReadBuffers } from './read-buffers.ts';
import { runTask } from './run-task.ts';
import type { StoreTask, TaskSettings } from './store-task.ts';

/** What the pool posts: the job, and the port its reads go through. */
export interface WorkerRequest {
  readonly task: StoreTask;
  readonly port: MessagePort;
}

const settings = poolData() as TaskSettings;
const headers = createHeaderCache();
const tools = new FrameTools();
const buffers = new ReadBuffers();
const frames = new FrameMemory();

serveTasks(async (request, task) => {
  const { task: job, port } = request as WorkerRequest;
  const io = createPortBlockIo(port, task.signal, buffers, (back) => frames.giveBack(back));
  try {
    const value = await runTask(job, {
      io,
      headers,
      tools,
      frames,
      settings,
      clock: () => performance.now(),
      throwIfCancelled: () => task.throwIfCancelled(),
      send: (piece) => task.send(piece, [...new Set(piece.map((frame) => frame.buffer as ArrayBuffer))]),
    });
    return { value };
  } finally {
    io.close();
  }
});
