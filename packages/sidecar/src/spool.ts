/**
 * Keeps a slow reader from holding a slot of Prometheus' remote-read gate. While the reader takes pieces as they come, nothing
 * is kept; when it has not asked for a while, the rest of the answer is read into a temporary file, which frees Prometheus, and the
 * reader goes on from there.
 *
 *   body ──► piece ──► reader          stalled for `stallMs`:   body ──► file ──► reader
 */
import { mkdtemp, open, rm } from 'node:fs/promises';
import { join } from 'node:path';

const READ_BYTES = 1 << 18;

/** Options of {@link spoolWhenStalled}. */
export interface SpoolOptions {
  /** Folder for temporary files, which are removed when the reader ends. */
  readonly folder: string;
  /** How long the reader may pause before the rest goes to disk, ms. */
  readonly stallMs: number;
  /** Called once when an answer goes to disk. */
  readonly onSpool?: () => void;
}

/** The pieces of `body`, in order. Leaving early ends `body` and removes the file. */
export async function* spoolWhenStalled(body: AsyncIterable<Uint8Array>, options: SpoolOptions): AsyncGenerator<Uint8Array> {
  const source = body[Symbol.asyncIterator]();
  const spool = new Spool(options.folder);
  // Runs while the reader works on a piece. When it fires, the spool reads on behind the reader's back.
  const onStall = (): void => {
    spool.start(source);
    options.onSpool?.();
  };
  try {
    for (let next = await source.next(); next.done !== true; next = await source.next()) {
      const timer = setTimeout(onStall, options.stallMs);
      try {
        yield next.value;
      } finally {
        clearTimeout(timer);
      }
      if (spool.isStarted) {
        yield* spool.read();
        return;
      }
    }
  } finally {
    if (spool.isStarted) await spool.close();
    else await source.return?.();
  }
}

/** One answer on disk. */
class Spool {
  readonly #parent: string;
  #writing: Promise<void> | undefined;
  #folder: string | undefined;
  #bytes = 0;
  #isClosed = false;

  constructor(parent: string) {
    this.#parent = parent;
  }

  start(source: AsyncIterator<Uint8Array>): void {
    this.#writing = this.#write(source);
    // Reported by `read`.
    this.#writing.catch(() => {});
  }

  async #write(source: AsyncIterator<Uint8Array>): Promise<void> {
    this.#folder = await mkdtemp(join(this.#parent, 'remote-read-'));
    const file = await open(join(this.#folder, 'body'), 'wx');
    try {
      for (;;) {
        if (this.#isClosed) {
          await source.return?.();
          return;
        }
        const next = await source.next();
        if (next.done === true) return;
        await file.write(next.value);
        this.#bytes += next.value.length;
      }
    } finally {
      await file.close();
    }
  }

  get isStarted(): boolean {
    return this.#writing !== undefined;
  }

  /** Everything from the begin of the spool, once it is complete. */
  async *read(): AsyncGenerator<Uint8Array> {
    await this.#writing;
    const file = await open(join(this.#folder!, 'body'), 'r');
    try {
      for (let at = 0; at < this.#bytes; ) {
        const piece = new Uint8Array(Math.min(READ_BYTES, this.#bytes - at));
        const { bytesRead } = await file.read(piece, 0, piece.length, at);
        if (bytesRead === 0) throw new Error(`read spooled answer: ${this.#bytes - at} bytes are gone`);
        at += bytesRead;
        yield piece.subarray(0, bytesRead);
      }
    } finally {
      await file.close();
    }
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#writing?.catch(() => {});
    if (this.#folder !== undefined) await rm(this.#folder, { recursive: true, force: true });
  }
}
