/**
 * Alerts waiting to be sent: bounded, oldest dropped first, taken in batches. On the way in they get their final labels:
 *
 *   labels of the alert − dropped labels + external labels (− dropped labels too) ─► relabelling ─► queue, or gone
 *
 * Source: Thanos pkg/alert/alert.go, Queue.
 */
import { type Labels, LabelsBuilder, relabelBuilder, type RelabelRule } from '@gauntlet/model';
import type { Counter, Logger, Metrics } from '@gauntlet/service-kit';
import type { GeneratorUrl } from './generator-url.ts';
import type { AlertSink, OutgoingAlert } from './types.ts';

/** An alert as Alertmanager gets it. */
export interface QueuedAlert {
  readonly labels: Labels;
  readonly annotations: Labels;
  readonly startsAtMs: number;
  readonly endsAtMs: number;
  readonly generatorUrl: string;
}

/** What {@link createAlertQueue} needs. */
export interface AlertQueueDeps {
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly generatorUrl: GeneratorUrl;
}

/** Options of {@link createAlertQueue}. */
export interface AlertQueueOptions {
  readonly externalLabels: Labels;
  /** `--alert.label-drop`. */
  readonly dropLabels: readonly string[];
  readonly relabel: readonly RelabelRule[];
  /** Most alerts; default 10,000. */
  readonly capacity?: number;
  /** Most alerts of a batch; default 100. */
  readonly batchMax?: number;
}

/** See the head of this file. */
export interface AlertQueue extends AlertSink {
  readonly length: number;
  /** The next batch, at least one alert; waits for it. @throws the signal's reason */
  pop(signal: AbortSignal): Promise<readonly QueuedAlert[]>;
}

const CAPACITY = 10_000;
const BATCH_MAX = 100;

/** Makes an empty queue. */
export function createAlertQueue(deps: AlertQueueDeps, options: AlertQueueOptions): AlertQueue {
  return new Queue(deps, options);
}

class Queue implements AlertQueue {
  readonly #log: Logger;
  readonly #generatorUrl: GeneratorUrl;
  readonly #dropLabels: readonly string[];
  /** External labels that are not dropped. */
  readonly #added: Labels;
  readonly #relabel: readonly RelabelRule[];
  readonly #capacity: number;
  readonly #batchMax: number;
  readonly #pushed: Counter;
  readonly #popped: Counter;
  readonly #dropped: Counter;
  #alerts: QueuedAlert[] = [];
  #wake: (() => void) | undefined;

  constructor({ log, metrics, generatorUrl }: AlertQueueDeps, options: AlertQueueOptions) {
    this.#log = log;
    this.#generatorUrl = generatorUrl;
    this.#dropLabels = options.dropLabels;
    this.#relabel = options.relabel;
    this.#capacity = options.capacity ?? CAPACITY;
    this.#batchMax = options.batchMax ?? BATCH_MAX;
    const added = new LabelsBuilder(options.externalLabels);
    for (const name of options.dropLabels) added.delete(name);
    this.#added = added.labels();
    const scope = metrics.withPrefix('thanos_alert_queue_');
    this.#dropped = scope.counter({ name: 'alerts_dropped_total', help: 'Total number of alerts that were dropped from the queue.' });
    this.#pushed = scope.counter({ name: 'alerts_pushed_total', help: 'Total number of alerts pushed to the queue.' });
    this.#popped = scope.counter({ name: 'alerts_popped_total', help: 'Total number of alerts popped from the queue.' });
    scope.gauge({ name: 'capacity', help: 'Capacity of the alert queue.', collect: () => this.#capacity });
    scope.gauge({ name: 'length', help: 'Length of the alert queue.', collect: () => this.#alerts.length });
  }

  get length(): number {
    return this.#alerts.length;
  }

  send(alerts: readonly OutgoingAlert[]): void {
    if (alerts.length === 0) return;
    this.#pushed.inc(alerts.length);
    for (const alert of alerts) {
      const labels = this.#finalLabels(alert.labels);
      // Without labels there is no alert to speak of.
      if (labels === undefined || labels.length === 0) continue;
      this.#alerts.push({ labels, annotations: alert.annotations, startsAtMs: alert.startsAtMs, endsAtMs: alert.endsAtMs, generatorUrl: this.#generatorUrl(alert.expr) });
    }
    const excess = this.#alerts.length - this.#capacity;
    if (excess > 0) {
      this.#alerts.splice(0, excess);
      this.#dropped.inc(excess);
      this.#log.warn('alert queue is full, dropping the oldest alerts', { numDropped: excess, capacity: this.#capacity });
    }
    this.#wake?.();
  }

  async pop(signal: AbortSignal): Promise<readonly QueuedAlert[]> {
    while (this.#alerts.length === 0) {
      signal.throwIfAborted();
      await new Promise<void>((resolve) => {
        const wake = (): void => {
          signal.removeEventListener('abort', wake);
          resolve();
        };
        this.#wake = wake;
        signal.addEventListener('abort', wake, { once: true });
      });
      this.#wake = undefined;
    }
    const batch = this.#alerts.splice(0, this.#batchMax);
    this.#popped.inc(batch.length);
    return batch;
  }

  #finalLabels(labels: Labels): Labels | undefined {
    const builder = new LabelsBuilder(labels);
    for (const name of this.#dropLabels) builder.delete(name);
    for (let i = 0; i < this.#added.length; i += 2) builder.set(this.#added[i]!, this.#added[i + 1]!);
    return relabelBuilder(builder, this.#relabel) ? builder.labels() : undefined;
  }
}
