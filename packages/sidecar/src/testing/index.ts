/** A Prometheus to test against, without Prometheus. */
export { type FakePrometheus, type FakeState, startFakePrometheus } from './fake-prometheus.ts';
