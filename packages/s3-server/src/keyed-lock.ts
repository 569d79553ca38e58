/** One writer per key: conditional writes look and then act, and nothing may come in between. */

/** Runs work on the same name one after another, on different names side by side. */
export class KeyedLock {
  #tails = new Map<string, Promise<void>>();

  /** Runs `work` once all earlier work on `name` has ended. */
  async run<T>(name: string, work: () => Promise<T>): Promise<T> {
    const before = this.#tails.get(name) ?? Promise.resolve();
    let release!: () => void;
    const own = new Promise<void>((resolve) => { release = resolve; });
    const tail = before.then(() => own);
    this.#tails.set(name, tail);
    await before;
    try {
      return await work();
    } finally {
      release();
      if (this.#tails.get(name) === tail) this.#tails.delete(name);
    }
  }
}
