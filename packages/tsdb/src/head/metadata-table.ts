/**
 * Type, unit and help of series. Series of one metric share them: they are kept once, and a series has a number.
 *
 * Grows with the first series that has any; a head without metadata pays nothing.
 */

/** Types of metrics, in the order of their numbers in the log. */
export const METRIC_TYPES = ['unknown', 'counter', 'gauge', 'histogram', 'gaugehistogram', 'summary', 'info', 'stateset'] as const;

/** Type of a metric. */
export type MetricType = (typeof METRIC_TYPES)[number];

/** What is said of a series. */
export interface SeriesMetadata {
  readonly type: MetricType;
  readonly unit: string;
  readonly help: string;
}

/** Metadata by slot. */
export class MetadataTable {
  readonly #known: SeriesMetadata[] = [];
  readonly #ids = new Map<string, number>();
  /** Slot → number + 1. */
  #ofSlot: Uint32Array = new Uint32Array(0);

  get(slot: number): SeriesMetadata | undefined {
    const id = this.#ofSlot[slot] ?? 0;
    return id === 0 ? undefined : this.#known[id - 1];
  }

  set(slot: number, metadata: SeriesMetadata): void {
    const key = `${metadata.type}\xff${metadata.unit}\xff${metadata.help}`;
    let id = this.#ids.get(key);
    if (id === undefined) {
      id = this.#known.push(metadata);
      this.#ids.set(key, id);
    }
    if (slot >= this.#ofSlot.length) {
      const grown = new Uint32Array(Math.max(slot + 1, this.#ofSlot.length * 2, 256));
      grown.set(this.#ofSlot);
      this.#ofSlot = grown;
    }
    this.#ofSlot[slot] = id;
  }

  /** Forgets a series. */
  clear(slot: number): void {
    if (slot < this.#ofSlot.length) this.#ofSlot[slot] = 0;
  }
}
