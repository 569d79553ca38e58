/** Stand-ins for tests of whoever uses the scraper. */
export { createFakeClock, type FakeClock, settlePromises } from './fake-clock.ts';
export { createRecordingAppendable, type RecordingAppendable } from './recording-appendable.ts';
export { encodeMetricFamilies, type Family, type FamilyExemplar, type FamilyHistogram, type FamilyMetric, type FamilySide } from './encode-metric-families.ts';
