/** Stand-ins for tests of whoever uses the scraper. */
export { createFakeClock, type FakeClock, settlePromises } from './fake-clock.ts';
export { createRecordingAppendable, type RecordingAppendable } from './recording-appendable.ts';
