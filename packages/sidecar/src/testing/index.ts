export { type FakePrometheus, type FakeState, startFakePrometheus } from './fake-prometheus.ts';
