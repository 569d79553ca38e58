/** What the tests of other packages may use of tsdb: a file system in memory that can fail, and blocks from a short notation. */
export { buildBlock, type BuildBlockOptions, parseSeriesNotation, type SeriesNotation } from './block-builder.ts';
export { createMemoryFileSystem, type MemoryFileSystem } from './memory-file-system.ts';
export { bitsOfNumber, encodeSamples, readSampleBlock, type SampleBits, type SampleBlock, type SampleSeries, writeSampleBlock } from './sample-block.ts';
