/**
 * The rules as the main thread sees them: a thread of their own, which is started and stopped with the run group, is asked for things, and whose end
 * nobody asked for ends the process.
 *
 *   request ─► own port ─► answer            reload, block rounds, stop
 *   call ─► port of the calls ─► pieces, answer, at the pace of whoever reads; an abort cancels      StoreAPI, Rules API, HTTP, metrics
 */
import { MessageChannel, type MessagePort, Worker } from 'node:worker_threads';
import { MIN_TIME_MS } from '@gauntlet/model';
import { errorText, type RunPart, ServiceKitError, type TaskErrorData, WorkerTaskError } from '@gauntlet/service-kit';
import type { CallTransport } from '@gauntlet/storeapi';
import { RulerError, type RulerErrorCode } from './errors.ts';
import type { EndpointLists, FromRules, ReloadAnswer, RulesCall, RulesFacts, RulesRequestBody, RulesSettings, RulesThreadData, ToRules } from './rules-protocol.ts';

/** Calls at once; one more is refused. */
const CALLS_MAX = 1024;
/** Replay of a large log takes minutes; evaluation ends within its query's time. */
const STOP_MS = 60_000;

/** See the head of this file. */
export interface RulesThread extends RunPart {
  /** Resolves when the database is open. @throws RulerError what the thread could not do */
  start(): Promise<void>;
  run(signal: AbortSignal): Promise<void>;
  stop(): Promise<void>;
  facts(): RulesFacts;
  setQueryEndpoints(endpoints: EndpointLists): void;
  setAlertmanagers(endpoints: EndpointLists): void;
  /** Reads the rule files. A problem is no error here. */
  reload(): Promise<ReloadAnswer>;
  /** Begins to evaluate. */
  evaluate(): Promise<void>;
  /** Cuts blocks that are due. @returns their ULIDs */
  cut(): Promise<readonly string[]>;
  /** Tells which blocks need not be kept, since readers of the bucket have them; applies retention. */
  noteHandedOver(blocks: readonly string[]): Promise<void>;
  /** Runs a call. @throws WorkerTaskError what it threw; ServiceKitError ERR_WORKER_EXIT, ERR_CANCELLED; the signal's reason */
  call(call: RulesCall, transport: CallTransport): Promise<unknown>;
}

/** @param module the built rules worker */
export function createRulesThread(settings: RulesSettings, module: URL): RulesThread {
  return new Thread(settings, module);
}

interface Call {
  readonly transport: CallTransport;
  readonly slot: number;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
  readonly onAbort: () => void;
  pieces: Promise<void>;
  isSettled: boolean;
}

type CallMessage =
  | { readonly type: 'done'; readonly id: number; readonly response: unknown }
  | { readonly type: 'failed'; readonly id: number; readonly error: TaskErrorData }
  | { readonly type: 'piece'; readonly id: number; readonly piece: number; readonly value: unknown };

class Thread implements RulesThread {
  readonly name = 'rules';
  readonly #settings: RulesSettings;
  readonly #module: URL;
  readonly #flags = new Int32Array(new SharedArrayBuffer(4 * CALLS_MAX));
  readonly #freeSlots: number[] = Array.from({ length: CALLS_MAX }, (_, i) => i);
  readonly #calls = new Map<number, Call>();
  readonly #requests = new Map<number, { readonly resolve: (value: unknown) => void; readonly reject: (error: unknown) => void }>();
  #worker: Worker | undefined;
  #port: MessagePort | undefined;
  #ended: Promise<void> = Promise.resolve();
  #isStopping = false;
  #hasEnded = false;
  #nextId = 1;
  #facts: RulesFacts = { mint: MIN_TIME_MS };

  constructor(settings: RulesSettings, module: URL) {
    this.#settings = settings;
    this.#module = module;
  }

  async start(): Promise<void> {
    const channel = new MessageChannel();
    this.#port = channel.port1;
    channel.port1.on('message', (message: CallMessage) => this.#onCallMessage(message));
    const data: RulesThreadData = { settings: this.#settings, calls: channel.port2, flags: this.#flags.buffer as SharedArrayBuffer };
    const worker = new Worker(this.#module, { workerData: data, transferList: [channel.port2] });
    this.#worker = worker;
    let failure: unknown;
    worker.on('error', (error: unknown) => (failure = error));
    this.#ended = new Promise((resolve, reject) => {
      worker.on('exit', (code) => {
        channel.port1.close();
        this.#hasEnded = true;
        const error = new RulerError('ERR_RULES_THREAD', `thread of the rules (${this.#settings.dataDir}): ended with ${failure === undefined ? `code ${code}` : errorText(failure)}`, failure);
        this.#failAll(error);
        if (this.#isStopping) resolve();
        else reject(error);
      });
    });
    this.#ended.catch(() => undefined);
    const ready = new Promise<void>((resolve, reject) => {
      worker.on('message', (message: FromRules) => {
        if (message.type === 'ready') resolve();
        else if (message.type === 'failed') reject(revive(message.error));
        this.#onMessage(message);
      });
    });
    try {
      await Promise.race([ready, this.#ended]);
    } catch (error) {
      this.#isStopping = true;
      await worker.terminate();
      throw error;
    }
  }

  async run(signal: AbortSignal): Promise<void> {
    if (signal.aborted) return;
    await Promise.race([this.#ended, new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))]);
  }

  async stop(): Promise<void> {
    const worker = this.#worker;
    if (worker === undefined || this.#hasEnded) return;
    this.#isStopping = true;
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_resolve, reject) => {
      timer = setTimeout(() => reject(new RulerError('ERR_RULES_THREAD', `stop the rules: not ended within ${STOP_MS / 1000} s; what was acknowledged is in the log`)), STOP_MS);
    });
    try {
      await Promise.race([this.#request({ kind: 'stop' }), this.#ended, late]);
      await Promise.race([this.#ended, late]);
    } finally {
      clearTimeout(timer);
      await worker.terminate();
    }
  }

  facts(): RulesFacts {
    return this.#facts;
  }

  setQueryEndpoints(endpoints: EndpointLists): void {
    this.#post({ type: 'queries', endpoints });
  }

  setAlertmanagers(endpoints: EndpointLists): void {
    this.#post({ type: 'alertmanagers', endpoints });
  }

  reload(): Promise<ReloadAnswer> {
    return this.#request({ kind: 'reload' }) as Promise<ReloadAnswer>;
  }

  async evaluate(): Promise<void> {
    await this.#request({ kind: 'run' });
  }

  cut(): Promise<readonly string[]> {
    return this.#request({ kind: 'cut' }) as Promise<readonly string[]>;
  }

  async noteHandedOver(blocks: readonly string[]): Promise<void> {
    await this.#request({ kind: 'handed over', blocks });
  }

  call(call: RulesCall, transport: CallTransport): Promise<unknown> {
    return new Promise((resolve, reject) => {
      transport.signal.throwIfAborted();
      if (this.#port === undefined || this.#isStopping) throw new ServiceKitError('ERR_WORKER_EXIT', 'call the rules: their thread is not running');
      const slot = this.#freeSlots.pop();
      if (slot === undefined) throw new ServiceKitError('ERR_CANCELLED', `call the rules: ${CALLS_MAX} calls are running already`);
      const id = this.#nextId++;
      const onAbort = (): void => this.#cancel(id);
      this.#calls.set(id, { transport, slot, resolve, reject, onAbort, pieces: Promise.resolve(), isSettled: false });
      transport.signal.addEventListener('abort', onAbort, { once: true });
      Atomics.store(this.#flags, slot, 0);
      this.#port.postMessage({ type: 'run', id, slot, request: call });
    });
  }

  #onCallMessage(message: CallMessage): void {
    const call = this.#calls.get(message.id);
    if (call === undefined) return;
    switch (message.type) {
      case 'done':
        this.#free(message.id, call);
        void call.pieces.then(() => this.#settle(call, () => call.resolve(message.response)));
        break;
      case 'failed':
        this.#free(message.id, call);
        this.#settle(call, () => call.reject(new WorkerTaskError(message.error)));
        break;
      case 'piece':
        call.pieces = call.pieces
          .then(() => (call.isSettled ? undefined : call.transport.onPiece(message.value)))
          .then(
            () => this.#port?.postMessage({ type: 'taken', id: message.id, piece: message.piece }),
            (error: unknown) => {
              this.#settle(call, () => call.reject(error));
              this.#askToStop(message.id, call);
            },
          );
        break;
      default:
        message satisfies never;
    }
  }

  #cancel(id: number): void {
    const call = this.#calls.get(id);
    if (call === undefined) return;
    this.#settle(call, () => call.reject(call.transport.signal.reason));
    this.#askToStop(id, call);
  }

  /** The slot is free again when the thread says that the call has ended. */
  #askToStop(id: number, { slot }: Call): void {
    Atomics.compareExchange(this.#flags, slot, 0, 1);
    this.#port?.postMessage({ type: 'cancel', id });
  }

  #settle(call: Call, answer: () => void): void {
    if (call.isSettled) return;
    call.isSettled = true;
    call.transport.signal.removeEventListener('abort', call.onAbort);
    answer();
  }

  #free(id: number, call: Call): void {
    this.#calls.delete(id);
    this.#freeSlots.push(call.slot);
  }

  #onMessage(message: FromRules): void {
    switch (message.type) {
      case 'ready':
      case 'facts':
        this.#facts = message.facts;
        break;
      case 'answer':
        this.#requests.get(message.id)?.resolve(message.value);
        this.#requests.delete(message.id);
        break;
      case 'refused':
        this.#requests.get(message.id)?.reject(revive(message.error));
        this.#requests.delete(message.id);
        break;
      case 'failed':
        break;
      default:
        message satisfies never;
    }
  }

  #request(body: RulesRequestBody): Promise<unknown> {
    return new Promise((resolve, reject) => {
      if (this.#worker === undefined || this.#hasEnded) throw new RulerError('ERR_RULES_THREAD', `${body.kind}: the thread of the rules is not running`);
      const id = this.#nextId++;
      this.#requests.set(id, { resolve, reject });
      this.#post({ type: 'request', id, body });
    });
  }

  #post(message: ToRules): void {
    if (!this.#hasEnded) this.#worker?.postMessage(message);
  }

  #failAll(error: Error): void {
    for (const call of this.#calls.values()) this.#settle(call, () => call.reject(new ServiceKitError('ERR_WORKER_EXIT', error.message, error)));
    this.#calls.clear();
    for (const { reject } of this.#requests.values()) reject(error);
    this.#requests.clear();
  }
}

/** An error of the thread as an error of this package; codes of others are kept in the cause. */
function revive(error: TaskErrorData): RulerError {
  const code = (['ERR_RULE_FILES', 'ERR_CONFIG', 'ERR_APPEND'] as readonly string[]).includes(error.code ?? '') ? (error.code as RulerErrorCode) : 'ERR_RULES_THREAD';
  return new RulerError(code, error.message, error);
}
