/** The contract of `Store` as test cases, and the series they run over. */
export { matcher, type ReadSeries, readSeries, seriesOf, storeCases, type StoreCase } from './store-cases.ts';
export { createMemoryChunkQueryable, FIXTURE_EXTERNAL_LABELS, FIXTURE_MAXT, FIXTURE_MINT, FIXTURE_SERIES } from './store-fixture.ts';
