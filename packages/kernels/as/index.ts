// The seam of the module: every kernel by name. One file per family; the TypeScript twins in ../src/js have the same names.
export { heapBase } from './memory';
export { countXorSamples, decodeXor, decodeXorChunks, decodeXorChunksWithin } from './xor-decode';
export { encodeXor } from './xor-encode';
export { decodeXor2 } from './xor2-decode';
export { decodeHistogramSamples } from './histogram-samples';
export { encodeHistogramSamples } from './histogram-encode';
export { crc32c } from './crc32c';
export { decodeSeriesEntries } from './series-entries';
export { writeFloat } from './float-text';
export { writePointsJson, writeStepsJson, writeStepTexts } from './points-json';
export { countStale, dropStale, lookback, windowFunction } from './windows';
export { accumulate, finishAggregate } from './aggregate';
export { summarizeSpacing } from './spacing';
export { checkChunkFrames, encodeXorFrames } from './chunk-frames';
export { mergeColumns } from './merge-columns';
export { snappyDecode, snappyEncode } from './snappy';
export { scanWriteRequest } from './write-request';
export { findKeys, putKey } from './key-table';
