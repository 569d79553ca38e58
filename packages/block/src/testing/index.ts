/** What the tests of other packages may use of block: recorded blocks, TSDB folders made of them, indexes of any content. */
export { GOLDEN_BLOCK, goldenBlocks, goldenFolder, TESTDATA } from './golden.ts';
export { encodeRawIndex, type RawIndexOptions, type RawSeries } from './raw-index.ts';
export { testBlockId, writeLocalBlock } from './tsdb-folder.ts';
