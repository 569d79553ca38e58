/**
 * BlockIo over a message port: the worker asks, the thread with the sockets answers. Reads go into memory that both threads see and the worker
 * owns: garbage of buffers would cost the thread with the sockets more time than all its other work.
 *
 *   worker  {id, op: 'read', key, start, target}  ─►         {id, op: 'cached', item, keys} ─►     {op: 'cache' | 'release', …} ─►
 *   owner   ◄─ {id, value: bytes read} or {id, error}        ◄─ {id, value: entries}               (no answer)
 *           ◄─ {back: memory of frames that were sent}
 */
import type { MessagePort } from 'node:worker_threads';
import { ObjstoreError, type ObjstoreErrorCode } from '@gauntlet/objstore';
import { taskErrorData, type TaskErrorData } from '@gauntlet/service-kit/worker';
import type { BlockIo, TargetBlockIo } from './block-io.ts';
import { StoreGatewayError } from './errors.ts';
import type { IndexItem } from './index-cache.ts';
import type { ReadBuffers } from './read-buffers.ts';

type Ask =
  | { readonly op: 'read'; readonly id: number; readonly key: string; readonly start: number; readonly target: Uint8Array }
  | { readonly op: 'cached'; readonly id: number; readonly item: IndexItem; readonly keys: readonly string[] }
  | { readonly op: 'cache'; readonly item: IndexItem; readonly entries: readonly (readonly [string, Uint8Array])[] }
  | { readonly op: 'release'; readonly bytes: number };

interface Back {
  readonly back: readonly ArrayBuffer[];
}

type Answer = { readonly id: number; readonly value: number | readonly (Uint8Array | undefined)[] } | { readonly id: number; readonly error: TaskErrorData };

/** Frees for the worker the memory of frames that were sent; see frame-memory.ts. */
export function returnBuffers(port: MessagePort, buffers: readonly ArrayBuffer[]): void {
  port.postMessage({ back: buffers } satisfies Back, buffers);
}

/** Answers what comes over the port from `io`, until the port is closed. */
export function serveBlockIo(port: MessagePort, io: TargetBlockIo): void {
  const answer = (id: number, work: Promise<number | readonly (Uint8Array | undefined)[]>): void => {
    work.then(
      (value) => port.postMessage({ id, value } satisfies Answer),
      (error: unknown) => port.postMessage({ id, error: taskErrorData(error) } satisfies Answer),
    );
  };
  port.on('message', (ask: Ask) => {
    switch (ask.op) {
      case 'read':
        answer(ask.id, io.readInto(ask.key, ask.start, ask.target));
        break;
      case 'cached':
        answer(ask.id, io.cached(ask.item, ask.keys));
        break;
      case 'cache':
        io.cache(ask.item, ask.entries);
        break;
      case 'release':
        io.release(ask.bytes);
        break;
      default:
        ask satisfies never;
    }
  });
}

interface Pending {
  readonly resolve: (value: never) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * The worker's end.
 * @param signal fails what is pending when the job is cancelled
 * @param buffers where reads go
 * @param onBack takes memory of frames that were sent
 */
export function createPortBlockIo(port: MessagePort, signal: AbortSignal, buffers: ReadBuffers, onBack: (buffers: readonly ArrayBuffer[]) => void): BlockIo & { close(): void } {
  const pending = new Map<number, Pending>();
  let nextId = 1;
  let failure: unknown;
  const fail = (error: unknown): void => {
    failure ??= error;
    for (const { reject } of pending.values()) reject(failure);
    pending.clear();
  };
  port.on('message', (answer: Answer | Back) => {
    if ('back' in answer) {
      onBack(answer.back);
      return;
    }
    const waiting = pending.get(answer.id);
    pending.delete(answer.id);
    if ('error' in answer) waiting?.reject(errorOf(answer.error));
    else waiting?.resolve(answer.value as never);
  });
  port.on('close', () => fail(new StoreGatewayError('ERR_GATEWAY_CONFIG', 'read block: the call has ended')));
  const onAbort = (): void => fail(signal.reason);
  if (signal.aborted) onAbort();
  else signal.addEventListener('abort', onAbort, { once: true });
  const ask = <T>(make: (id: number) => Ask): Promise<T> =>
    new Promise<T>((resolve, reject) => {
      if (failure !== undefined) {
        reject(failure as Error);
        return;
      }
      const id = nextId++;
      pending.set(id, { resolve, reject });
      port.postMessage(make(id));
    });
  return {
    async read(key, start, length) {
      // After a failure the other thread may still write into it: then it is left to the garbage collector.
      const target = buffers.take(length);
      return target.subarray(0, await ask<number>((id) => ({ op: 'read', id, key, start, target })));
    },
    reuse: (bytes) => buffers.giveBack(bytes),
    cached: (item, keys) => ask<readonly (Uint8Array | undefined)[]>((id) => ({ op: 'cached', id, item, keys })),
    // Views are copied out: a message would carry their whole buffers.
    cache: (item, entries) => port.postMessage({ op: 'cache', item, entries: entries.map(([key, value]) => [key, value.slice()] as const) } satisfies Ask),
    release: (bytes) => port.postMessage({ op: 'release', bytes } satisfies Ask),
    close() {
      signal.removeEventListener('abort', onAbort);
      port.close();
    },
  };
}

/** Errors keep their code, which decides what is made of them. */
function errorOf(data: TaskErrorData): Error {
  if (data.name === 'ObjstoreError') return new ObjstoreError(data.code as ObjstoreErrorCode, data.message);
  const error = new Error(data.message);
  error.name = data.name;
  return data.code === undefined ? error : Object.assign(error, { code: data.code });
}
