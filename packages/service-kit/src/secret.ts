/**
 * A value that does not print itself: logs, JSON and string conversion show `<secret>`, and util.inspect never shows private fields.
 */

/** Holds a secret text. Only {@link Secret.reveal} gives it. */
export class Secret {
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
  }

  /** The text itself, for the one place that sends it. */
  reveal(): string {
    return this.#text;
  }

  /** Whether the text is empty. */
  get isEmpty(): boolean {
    return this.#text === '';
  }

  toString(): string {
    return '<secret>';
  }

  toJSON(): string {
    return '<secret>';
  }
}
