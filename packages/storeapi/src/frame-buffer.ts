/**
 * The frames of one store, between its stream and the merge. A pump drains the stream as fast as it comes, so that no store
 * waits for another; what it holds is charged. With `bufferBytesMax` the pump stops at that many bytes until the merge has read.
 *
 *   stream ──pump──► [frame frame frame] ──take()──► merge        frameTimeoutMs runs while the pump waits for the stream
 */
import { SeriesFrame } from '@gauntlet/proto';
import { StoreError } from './errors.ts';
import { fromServiceError } from './grpc-status.ts';

/** Where buffered bytes are charged; `reserve` throws if they are too many. */
export interface ByteCharge {
  reserve(bytes: number): void;
  release(bytes: number): void;
}

/** A frame as its bytes, or decoded already by who made it in this thread. */
export type FrameItem = Uint8Array | SeriesFrame;

/** Options of {@link FrameBuffer}. */
export interface FrameBufferOptions {
  /** Longest wait for a frame, ms; 0 waits for ever. */
  readonly frameTimeoutMs: number;
  /** The pump pauses when it holds so many bytes; Infinity never. */
  readonly bufferBytesMax: number;
  readonly charge?: ByteCharge;
  /** Ends the buffer as failed. */
  readonly signal?: AbortSignal;
  /** Takes back frames that came decoded, once nobody reads them any more. */
  readonly reuse?: (frame: SeriesFrame) => void;
}

/** How a stream ended. */
export type StreamEnd =
  | { readonly kind: 'done' }
  /** The stream failed. */
  | { readonly kind: 'failed'; readonly error: StoreError }
  /** No frame came in time. */
  | { readonly kind: 'silent'; readonly error: StoreError }
  /** The charge refused a frame: the reader's limit, not the stream's fault. */
  | { readonly kind: 'refused'; readonly error: unknown };

/** See the head of this file. Use: start, then take and wait until `end` is set; close in any case. */
export class FrameBuffer {
  readonly #options: FrameBufferOptions;
  readonly #abort: AbortController = new AbortController();
  #frames: FrameItem[] = [];
  #head = 0;
  #bytes = 0;
  #wakeReader: (() => void) | undefined;
  #wakePump: (() => void) | undefined;
  #end: StreamEnd | undefined;
  /** Frames received so far. */
  frameCount = 0;
  /** Bytes received so far. */
  byteCount = 0;

  /** Aborted when the stream is no longer wanted; give it to the call. */
  readonly signal: AbortSignal;

  constructor(options: FrameBufferOptions) {
    this.#options = options;
    this.signal = options.signal === undefined ? this.#abort.signal : AbortSignal.any([options.signal, this.#abort.signal]);
    // The reader is woken at once, whatever the stream does about its signal.
    const onAbort = (): void => this.#finish({ kind: 'failed', error: canceled() });
    if (this.signal.aborted) onAbort();
    else this.signal.addEventListener('abort', onAbort, { once: true });
  }

  /** Set once the stream has ended and every frame was taken. */
  get end(): StreamEnd | undefined {
    return this.#head < this.#frames.length ? undefined : this.#end;
  }

  /** Starts to drain `stream`; errors show up as {@link end}. */
  start(stream: AsyncIterable<FrameItem>): void {
    void this.#pump(stream);
  }

  /** The next frame if one is there. The consumer gives its bytes back with {@link release}. */
  take(): FrameItem | undefined {
    if (this.#head === this.#frames.length) return undefined;
    const frame = this.#frames[this.#head++]!;
    if (this.#head === this.#frames.length) {
      this.#frames = [];
      this.#head = 0;
    }
    this.#bytes -= bytesOf(frame);
    if (this.#wakePump !== undefined && this.#bytes < this.#options.bufferBytesMax) this.#wakePump();
    return frame;
  }

  /** Takes the charge of a frame off again, and gives one that came decoded back. */
  release(frame: FrameItem): void {
    this.#options.charge?.release(bytesOf(frame));
    if (frame instanceof SeriesFrame) this.#options.reuse?.(frame);
  }

  /** Resolves when a frame is there or the stream has ended. One waiter at a time. */
  wait(): Promise<void> {
    if (this.#head < this.#frames.length || this.#end !== undefined) return Promise.resolve();
    return new Promise((resolve) => {
      this.#wakeReader = resolve;
    });
  }

  /** Stops the stream and gives back what is still charged. */
  close(): void {
    this.#finish({ kind: 'done' });
    this.#abort.abort();
    for (let i = this.#head; i < this.#frames.length; i++) this.release(this.#frames[i]!);
    this.#frames = [];
    this.#head = 0;
    this.#wakePump?.();
  }

  async #pump(stream: AsyncIterable<FrameItem>): Promise<void> {
    const { frameTimeoutMs, bufferBytesMax, charge } = this.#options;
    const onTimeout = (): void => {
      this.#finish({ kind: 'silent', error: canceled() });
      this.#abort.abort();
    };
    let timer = frameTimeoutMs > 0 ? setTimeout(onTimeout, frameTimeoutMs) : undefined;
    try {
      for await (const frame of stream) {
        if (this.#end !== undefined) break;
        const frameBytes = bytesOf(frame);
        try {
          charge?.reserve(frameBytes);
        } catch (error) {
          this.#finish({ kind: 'refused', error });
          this.#abort.abort();
          break;
        }
        this.#frames.push(frame);
        this.#bytes += frameBytes;
        this.frameCount++;
        this.byteCount += frameBytes;
        this.#wake();
        if (this.#bytes >= bufferBytesMax) {
          clearTimeout(timer);
          await new Promise<void>((resolve) => {
            this.#wakePump = resolve;
          });
          this.#wakePump = undefined;
          if (timer !== undefined) timer = setTimeout(onTimeout, frameTimeoutMs);
        } else timer?.refresh();
      }
      this.#finish({ kind: 'done' });
    } catch (error) {
      this.#finish({ kind: 'failed', error: error instanceof StoreError ? error : fromServiceError(error) });
    } finally {
      clearTimeout(timer);
    }
  }

  #finish(end: StreamEnd): void {
    this.#end ??= end;
    this.#wake();
  }

  #wake(): void {
    const wake = this.#wakeReader;
    this.#wakeReader = undefined;
    wake?.();
  }
}

function bytesOf(frame: FrameItem): number {
  return frame instanceof SeriesFrame ? frame.bytes.length : frame.length;
}

function canceled(): StoreError {
  return new StoreError('ERR_STORE_CANCELED', 'context canceled');
}
