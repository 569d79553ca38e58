/** Changes to a label set, collected and made into labels once: what relabelling and scraping edit. */
import { compareUtf8 } from '@gauntlet/bytes';
import type { Labels } from './labels.ts';

/** A mutable label set. Setting an empty value removes the label, as everywhere in Prometheus. */
export class LabelsBuilder {
  readonly #values = new Map<string, string>();
  /** What `labels()` gave last; undefined after a change. */
  #labels: Labels | undefined;

  /** Starts with the given labels. */
  constructor(labels: Labels = []) {
    this.reset(labels);
  }

  /** Forgets everything and starts over with the given labels. */
  reset(labels: Labels): this {
    this.#values.clear();
    for (let i = 0; i < labels.length; i += 2) this.#values.set(labels[i]!, labels[i + 1]!);
    this.#labels = labels;
    return this;
  }

  /** The value, `''` if absent. */
  get(name: string): string {
    return this.#values.get(name) ?? '';
  }

  /** Sets one label; `''` removes it. */
  set(name: string, value: string): this {
    if (this.get(name) === value) return this;
    if (value === '') this.#values.delete(name);
    else this.#values.set(name, value);
    this.#labels = undefined;
    return this;
  }

  /** Removes one label. */
  delete(name: string): this {
    return this.set(name, '');
  }

  /** The labels as they stand now; later changes do not touch the returned array. */
  labels(): Labels {
    if (this.#labels !== undefined) return this.#labels;
    const names = [...this.#values.keys()].sort(compareUtf8);
    const labels: string[] = [];
    for (const name of names) labels.push(name, this.#values.get(name)!);
    this.#labels = labels;
    return labels;
  }
}
