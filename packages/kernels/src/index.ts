/** The seam of kernels. README.md has the reading order. */
export { createKernels, type KernelOptions } from './create-kernels.ts';
export { KernelError, type KernelErrorCode } from './errors.ts';
export {
  KEY_ENTRY_BYTES,
  KEY_HEADER_BYTES,
  KEY_PROBES_MAX,
  keyRecordBytes,
  type KeyTableKernels,
  SNAPPY_SLACK_BYTES,
  SNAPPY_TABLE_BYTES,
  type SnappyKernels,
  WRITE_ROW_BYTES,
  WRITE_SCAN,
  WRITE_STATE_BYTES,
  type WriteRequestKernels,
} from './ingest-kernels.ts';
export { formatFloat, formatTimestamp } from './js/float-text.ts';
export { sumCounterColumns } from './js/counter-resets.ts';
export { type SpacingSummary, summarizeSpacing } from './js/spacing.ts';
export { CHUNK_FIELD_ROOM, CHUNK_FIELD_WORDS, type ChunkFieldKernels } from './chunk-field-kernels.ts';
export { FRAME_WORDS, type FrameKernels, type MergeCheckKernels, type MergeKernels, xorFramesBytesMax } from './frame-kernels.ts';
export { HISTOGRAM_COLUMNS, HISTOGRAM_ENCODE_REFUSAL, HISTOGRAM_INTEGER_MAX, HISTOGRAM_REFUSAL, type HistogramKernels, histogramSamplesBytesMax, histogramStateBytes } from './histogram-kernels.ts';
export { HistogramRowWriter } from './js/histogram-encode.ts';
export { decodeHistogramRows, type HistogramRowsRequest } from './js/histogram-samples.ts';
export { StartTimestampWriter } from './js/start-timestamps.ts';
export { readVarbitInt, readVarbitUint, writeVarbitInt, writeVarbitUint } from './js/varbit.ts';
export { decodeXor2Columns, XOR2_REFUSAL } from './js/xor2.ts';
export {
  BATCH_NO_ROOM,
  CHUNK_SLACK_BYTES,
  FLOAT_TEXT_BYTES_MAX,
  type FloatTextKernels,
  type HashKernels,
  type KernelMemory,
  type Kernels,
  POINT_JSON_BYTES_MAX,
  type SeriesEntryKernels,
  STEP_JSON_ROOM,
  STEP_TEXT_BYTES,
  xorChunkBytesMax,
  type XorKernels,
  type XorNewestKernels,
} from './kernels.ts';
export { POSTINGS_SLACK_BYTES, type PostingsKernels } from './postings-kernels.ts';
export type { ReplicaKernels } from './replica-kernels.ts';
export { SPACING_ROW_BYTES, type SpacingKernels } from './spacing-kernels.ts';
export {
  accumulatorBytes,
  AGGREGATE,
  AGGREGATE_COLUMNS,
  type AggregateFunction,
  type AggregateKernels,
  WINDOW,
  type WindowFunction,
  type WindowKernels,
} from './window-kernels.ts';
export type { Xor2Kernels } from './xor2-kernels.ts';
