/** The test kit of this package: storage in memory and the runner for test scripts. */
export { createMemoryQueryable, type MemoryQueryableOptions, type MemorySeries } from '../promqltest/memory-queryable.ts';
export { almostEqual, type ScriptResult } from '../promqltest/compare-result.ts';
export { loadSeries } from '../promqltest/load-data.ts';
export { type LoadStatement, matchesExpectation, parseScript, type Statement } from '../promqltest/parse-script.ts';
export { parseSeries, type SequenceValue, type SeriesDescription } from '../promqltest/parse-series.ts';
export { runScript, type ScriptEngine, type ScriptOutcome } from '../promqltest/run-script.ts';
