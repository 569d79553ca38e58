/**
 * Metrics: counters, gauges and classic histograms with labels, in one registry per component.
 *
 *   registry ── family (name, help, type, label names) ── child (label values) ── number, or bucket counts
 *   scope    = registry + name prefix + constant labels   (Thanos' WrapRegistererWithPrefix / With)
 *
 * Creating a family twice with the same shape returns the same family, so parts that are built more than once (one per endpoint, say) need no care.
 * A child is found once through `with` and kept by hot code; `inc` and `observe` on a child touch numbers only. Exposition is in metrics-exposition.ts.
 * Source: thanos.md 6 for names; client_golang for shapes.
 */
import { ServiceKitError } from './errors.ts';

/** Label names and values of one child. */
export type MetricLabels = Readonly<Record<string, string>>;

/** A count that only grows. */
export interface Counter {
  /** Adds `value` (default 1, at least 0). */
  inc(value?: number): void;
  /** The child for these labels; together with constant and outer labels they must be all label names of the family. */
  with(labels: MetricLabels): Counter;
  /** Current value. */
  value(): number;
}

/** A number that goes up and down. */
export interface Gauge {
  /** Sets the value. */
  set(value: number): void;
  /** Adds `value`, default 1. */
  inc(value?: number): void;
  /** Subtracts `value`, default 1. */
  dec(value?: number): void;
  /** The child for these labels. */
  with(labels: MetricLabels): Gauge;
  /** Current value. */
  value(): number;
  /** Forgets every child of the family (of this scope's constant labels too). */
  clear(): void;
}

/** Observations counted in buckets. */
export interface Histogram {
  /** Counts one observation; the exemplar labels (such as `{traceID}`) are kept per bucket, newest wins. */
  observe(value: number, exemplar?: MetricLabels): void;
  /** The child for these labels. */
  with(labels: MetricLabels): Histogram;
  /** Number of observations so far. */
  count(): number;
  /** Sum of observations so far. */
  sum(): number;
}

/** Description of a family. */
export interface MetricOptions {
  /** Name without the scope's prefix. */
  readonly name: string;
  /** One sentence. */
  readonly help: string;
  /** Label names beyond the constant ones. */
  readonly labels?: readonly string[];
}

/** Description of a histogram. */
export interface HistogramOptions extends MetricOptions {
  /** Upper bounds, increasing, without +Inf; default {@link DEFAULT_BUCKETS}. */
  readonly buckets?: readonly number[];
}

/** Description of a gauge. */
export interface GaugeOptions extends MetricOptions {
  /** Computes the value of the label-less child at every scrape. */
  readonly collect?: () => number;
}

/** What components get to declare their metrics with. */
export interface Metrics {
  /** Declares (or finds) a counter. @throws ServiceKitError ERR_CONFIG when the name exists with another shape */
  counter(options: MetricOptions): Counter;
  /** Declares (or finds) a gauge. */
  gauge(options: GaugeOptions): Gauge;
  /** Declares (or finds) a histogram. */
  histogram(options: HistogramOptions): Histogram;
  /** The same registry, with this prefix before every name. */
  withPrefix(prefix: string): Metrics;
  /** The same registry, with these labels on every family. */
  withLabels(labels: MetricLabels): Metrics;
  /** The registry underneath, for exposition. */
  readonly registry: MetricRegistry;
}

/** client_golang's default buckets, seconds. */
export const DEFAULT_BUCKETS: readonly number[] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

/** One sample of an exposition. */
export interface MetricSample {
  /** Full sample name (`…_bucket` for histogram buckets, and so on). */
  readonly name: string;
  /** Label names and values, flat, in output order. */
  readonly labels: readonly string[];
  readonly value: number;
  /** Exemplar of a bucket: its labels, value, and Unix time in seconds. */
  readonly exemplar?: { readonly labels: MetricLabels; readonly value: number; readonly timestampSeconds: number };
}

/** A family with its current samples. */
export interface MetricFamilySnapshot {
  /** As declared; a counter's name ends in `_total`. */
  readonly name: string;
  readonly help: string;
  readonly type: 'counter' | 'gauge' | 'histogram' | 'summary' | 'unknown';
  readonly samples: readonly MetricSample[];
}

/** A source of families outside the registry (process metrics). */
export type MetricSource = () => readonly MetricFamilySnapshot[] | Promise<readonly MetricFamilySnapshot[]>;

/** Makes a registry and its root scope. @param clock Unix milliseconds, for exemplars */
export function createMetrics(clock: () => number = Date.now): Metrics {
  return new Scope(new MetricRegistry(clock), '', {});
}

/** All families of a process or component. */
export class MetricRegistry {
  readonly #families = new Map<string, Family>();
  readonly #sources: MetricSource[] = [];
  /** Unix milliseconds. */
  readonly clock: () => number;

  constructor(clock: () => number) {
    this.clock = clock;
  }

  /** Adds families that are read at every scrape. */
  addSource(source: MetricSource): void {
    this.#sources.push(source);
  }

  /** Current samples of everything, families sorted by name. */
  async snapshot(): Promise<readonly MetricFamilySnapshot[]> {
    const families: MetricFamilySnapshot[] = [];
    for (const family of this.#families.values()) families.push(family.snapshot());
    for (const source of this.#sources) families.push(...(await source()));
    return families.sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
  }

  /** Finds or makes a family. Used by scopes. */
  family(name: string, help: string, type: Family['type'], labelNames: readonly string[], buckets: readonly number[]): Family {
    const known = this.#families.get(name);
    if (known !== undefined) {
      const same = known.type === type && known.labelNames.join() === labelNames.join() && known.buckets.join() === buckets.join();
      if (!same) {
        throw new ServiceKitError('ERR_CONFIG', `register metric ${name}: it exists as ${known.type}{${known.labelNames.join()}}, wanted ${type}{${labelNames.join()}}`);
      }
      return known;
    }
    if (!/^[a-zA-Z_:][a-zA-Z0-9_:]*$/.test(name)) throw new ServiceKitError('ERR_CONFIG', `register metric ${JSON.stringify(name)}: not a metric name`);
    const family = new Family(name, help, type, labelNames, buckets, this.clock);
    this.#families.set(name, family);
    return family;
  }
}

class Scope implements Metrics {
  readonly registry: MetricRegistry;
  readonly #prefix: string;
  readonly #labels: MetricLabels;

  constructor(registry: MetricRegistry, prefix: string, labels: MetricLabels) {
    this.registry = registry;
    this.#prefix = prefix;
    this.#labels = labels;
  }

  counter(options: MetricOptions): Counter {
    return new CounterHandle(this.#family(options, 'counter', []), this.#labels);
  }

  gauge(options: GaugeOptions): Gauge {
    const family = this.#family(options, 'gauge', []);
    if (options.collect !== undefined) family.collect = options.collect;
    return new GaugeHandle(family, this.#labels);
  }

  histogram(options: HistogramOptions): Histogram {
    return new HistogramHandle(this.#family(options, 'histogram', options.buckets ?? DEFAULT_BUCKETS), this.#labels);
  }

  withPrefix(prefix: string): Metrics {
    return new Scope(this.registry, this.#prefix + prefix, this.#labels);
  }

  withLabels(labels: MetricLabels): Metrics {
    return new Scope(this.registry, this.#prefix, { ...this.#labels, ...labels });
  }

  #family(options: MetricOptions, type: Family['type'], buckets: readonly number[]): Family {
    const names = [...Object.keys(this.#labels), ...(options.labels ?? [])].sort();
    return this.registry.family(this.#prefix + options.name, options.help, type, names, buckets);
  }
}

interface Exemplar {
  readonly labels: MetricLabels;
  readonly value: number;
  readonly timestampSeconds: number;
}

interface Child {
  /** Values in the order of the family's label names. */
  readonly labelValues: readonly string[];
  /** Counter or gauge value; sum of a histogram. */
  value: number;
  /** Count per bucket, not cumulative; the last is +Inf. Empty unless a histogram. */
  readonly bucketCounts: Float64Array;
  exemplars: (Exemplar | undefined)[] | undefined;
}

class Family {
  readonly name: string;
  readonly help: string;
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly labelNames: readonly string[];
  readonly buckets: readonly number[];
  readonly clock: () => number;
  collect: (() => number) | undefined;
  readonly #children = new Map<string, Child>();

  constructor(name: string, help: string, type: Family['type'], labelNames: readonly string[], buckets: readonly number[], clock: () => number) {
    this.name = name;
    this.help = help;
    this.type = type;
    this.labelNames = labelNames;
    this.buckets = buckets;
    this.clock = clock;
    if (labelNames.length === 0) this.child({});
  }

  child(labels: MetricLabels): Child {
    const values: string[] = [];
    let given = 0;
    for (const name of this.labelNames) {
      const value = labels[name];
      if (value === undefined) throw new ServiceKitError('ERR_CONFIG', `use metric ${this.name}: label ${name} has no value, got {${Object.keys(labels).join()}}`);
      values.push(value);
      given++;
    }
    if (given !== Object.keys(labels).length) {
      throw new ServiceKitError('ERR_CONFIG', `use metric ${this.name}: got labels {${Object.keys(labels).sort().join()}}, wanted {${this.labelNames.join()}}`);
    }
    const key = values.join('\u0000');
    let child = this.#children.get(key);
    if (child === undefined) {
      const counts = new Float64Array(this.type === 'histogram' ? this.buckets.length + 1 : 0);
      child = { labelValues: values, value: 0, bucketCounts: counts, exemplars: undefined };
      this.#children.set(key, child);
    }
    return child;
  }

  /** Forgets children whose labels include the given ones. */
  clear(labels: MetricLabels): void {
    for (const [key, child] of this.#children) {
      if (this.labelNames.every((name, i) => labels[name] === undefined || labels[name] === child.labelValues[i])) this.#children.delete(key);
    }
    if (this.labelNames.length === 0) this.child({});
  }

  snapshot(): MetricFamilySnapshot {
    if (this.collect !== undefined && this.labelNames.length === 0) this.child({}).value = this.collect();
    const samples: MetricSample[] = [];
    for (const child of this.#children.values()) {
      const labels: string[] = [];
      for (let i = 0; i < this.labelNames.length; i++) labels.push(this.labelNames[i]!, child.labelValues[i]!);
      if (this.type === 'histogram') this.#histogramSamples(child, labels, samples);
      else samples.push({ name: this.name, labels, value: child.value });
    }
    return { name: this.name, help: this.help, type: this.type, samples };
  }

  #histogramSamples(child: Child, labels: readonly string[], samples: MetricSample[]): void {
    let cumulative = 0;
    for (let i = 0; i <= this.buckets.length; i++) {
      cumulative += child.bucketCounts[i]!;
      const le = i === this.buckets.length ? '+Inf' : String(this.buckets[i]!);
      const exemplar = child.exemplars?.[i];
      samples.push({ name: `${this.name}_bucket`, labels: [...labels, 'le', le], value: cumulative, ...(exemplar === undefined ? {} : { exemplar }) });
    }
    samples.push({ name: `${this.name}_sum`, labels, value: child.value }, { name: `${this.name}_count`, labels, value: cumulative });
  }
}

/** Shared by the three handles: the child is looked up on first use, so that a family with labels can be declared without values. */
class Handle {
  protected readonly family: Family;
  protected readonly labels: MetricLabels;
  #child: Child | undefined;

  constructor(family: Family, labels: MetricLabels) {
    this.family = family;
    this.labels = labels;
    if (Object.keys(labels).length === family.labelNames.length) this.#child = family.child(labels);
  }

  protected get child(): Child {
    this.#child ??= this.family.child(this.labels);
    return this.#child;
  }

  protected forget(): void {
    this.#child = undefined;
  }
}

class CounterHandle extends Handle implements Counter {
  inc(value = 1): void {
    if (value < 0) throw new ServiceKitError('ERR_CONFIG', `increase counter ${this.family.name}: got ${value}, wanted at least 0`);
    this.child.value += value;
  }

  with(labels: MetricLabels): Counter {
    return new CounterHandle(this.family, { ...this.labels, ...labels });
  }

  value(): number {
    return this.child.value;
  }
}

class GaugeHandle extends Handle implements Gauge {
  set(value: number): void {
    this.child.value = value;
  }

  inc(value = 1): void {
    this.child.value += value;
  }

  dec(value = 1): void {
    this.child.value -= value;
  }

  with(labels: MetricLabels): Gauge {
    return new GaugeHandle(this.family, { ...this.labels, ...labels });
  }

  value(): number {
    return this.child.value;
  }

  clear(): void {
    this.family.clear(this.labels);
    this.forget();
  }
}

class HistogramHandle extends Handle implements Histogram {
  observe(value: number, exemplar?: MetricLabels): void {
    const { buckets, clock } = this.family;
    const child = this.child;
    let bucket = 0;
    while (bucket < buckets.length && !(value <= buckets[bucket]!)) bucket++;
    child.bucketCounts[bucket]!++;
    child.value += value;
    if (exemplar !== undefined) {
      child.exemplars ??= [];
      child.exemplars[bucket] = { labels: exemplar, value, timestampSeconds: clock() / 1000 };
    }
  }

  with(labels: MetricLabels): Histogram {
    return new HistogramHandle(this.family, { ...this.labels, ...labels });
  }

  count(): number {
    let total = 0;
    for (const count of this.child.bucketCounts) total += count;
    return total;
  }

  sum(): number {
    return this.child.value;
  }
}
