/**
 * Healthy and ready: one state per component, read by HTTP (/-/healthy, /-/ready), by gRPC health, and shown as `thanos_status{component,check}`.
 * Source: Thanos pkg/prober.
 */
import type { Logger } from './log.ts';
import type { Gauge, Metrics } from './metrics.ts';

/** What {@link createProbe} needs. */
export interface ProbeDeps {
  /** Component name, such as `sidecar`. */
  readonly component: string;
  readonly log: Logger;
  readonly metrics: Metrics;
}

/** Makes a probe that is neither healthy nor ready. */
export function createProbe(deps: ProbeDeps): Probe {
  return new Probe(deps);
}

/** The state of one component. */
export class Probe {
  readonly #log: Logger;
  readonly #readyGauge: Gauge;
  readonly #healthyGauge: Gauge;
  readonly #listeners = new Set<(isReady: boolean) => void>();
  #ready = false;
  #healthy = false;

  constructor(deps: ProbeDeps) {
    this.#log = deps.log;
    const status = deps.metrics
      .withLabels({ component: deps.component })
      .gauge({ name: 'thanos_status', help: 'Represents status (0 indicates failure, 1 indicates success) of the component.', labels: ['check'] });
    this.#readyGauge = status.with({ check: 'ready' });
    this.#healthyGauge = status.with({ check: 'healthy' });
    this.#readyGauge.set(0);
    this.#healthyGauge.set(0);
  }

  /** Whether the component can serve. */
  get isReady(): boolean {
    return this.#ready;
  }

  /** Whether the process works. */
  get isHealthy(): boolean {
    return this.#healthy;
  }

  /** The component can serve. */
  ready(): void {
    if (this.#ready) return;
    this.#ready = true;
    this.#readyGauge.set(1);
    this.#log.info('changing probe status', { status: 'ready' });
    for (const listener of this.#listeners) listener(true);
  }

  /** The component cannot serve (yet, or any more). */
  notReady(reason: string): void {
    if (!this.#ready) return;
    this.#ready = false;
    this.#readyGauge.set(0);
    this.#log.warn('changing probe status', { status: 'not-ready', reason });
    for (const listener of this.#listeners) listener(false);
  }

  /** The process works. */
  healthy(): void {
    if (this.#healthy) return;
    this.#healthy = true;
    this.#healthyGauge.set(1);
    this.#log.info('changing probe status', { status: 'healthy' });
  }

  /** The process should be restarted. */
  notHealthy(reason: string): void {
    if (!this.#healthy) return;
    this.#healthy = false;
    this.#healthyGauge.set(0);
    this.#log.info('changing probe status', { status: 'not-healthy', reason });
  }

  /** Calls back with every change of readiness, and once now. @returns ends it */
  onReadyChange(listener: (isReady: boolean) => void): () => void {
    this.#listeners.add(listener);
    listener(this.#ready);
    return () => this.#listeners.delete(listener);
  }
}
