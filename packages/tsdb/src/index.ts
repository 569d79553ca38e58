/** The seam of tsdb: everything other packages may use. README.md has the reading order. */
export { type Block, BLOCK_FILES, openBlock, type OpenBlockOptions, readBlockMeta } from './block/block-reader.ts';
export { repairBlock, type RepairBlockDeps, type RepairBlockOptions, type RepairChange, type RepairReport } from './block/repair-block.ts';
export { ChunkChecker } from './block/chunk-checker.ts';
export { computeMetaDigest, META_DIGEST_KEY, type MetaDigest } from './block/meta-digest.ts';
export { type BlockReport, formatBlockReport, verifyBlock, type VerifyBlockOptions } from './block/verify-block.ts';
export type { BlockFinding, FindingCode, FindingSeverity } from './block/verify-findings.ts';
export type { BlockFigures } from './block/verify-meta.ts';
export { type BlockCompaction, type BlockDesc, type BlockMeta, type BlockStats, formatBlockMeta, parseBlockMeta } from './block/block-meta.ts';
export {
  type BlockChunk,
  type BlockWriteOptions,
  type BlockWriter,
  chunkSampleCount,
  createBlockWriter,
  CREATION_SUFFIX,
  DELETION_SUFFIX,
  writeBlock,
} from './block/block-writer.ts';
export { addInterval, formatTombstones, type Intervals, isCovered, NO_TOMBSTONES, overlapsIntervals, parseTombstones, type Tombstones } from './block/tombstones.ts';
export { createUlid, isUlid, type Random, ulidTimeMs } from './block/ulid.ts';
export {
  AGGREGATE_ENCODING,
  type AggregateColumns,
  type AggregateName,
  type AggregateParts,
  type AggregateSamples,
  AGGREGATES,
  areHistograms,
  decodeAggregateChunk,
  encodeAggregateChunk,
  joinAggregateChunk,
  splitAggregateChunk,
} from './chunkenc/aggregate-chunk.ts';
export type { FloatColumns } from './chunkenc/float-chunks.ts';
export { decodeHistogramChunk, type HistogramColumns, isHistogramEncoding, RESET_HINT } from './chunkenc/histogram-chunk.ts';
export { CUSTOM_BUCKETS_SCHEMA } from './chunkenc/histogram-layout.ts';
export { decodeXor2Chunk, decodeXor2Into, hasStartTimestamps, type Xor2Columns, xor2SampleCount, type Xor2Target } from './chunkenc/xor2-chunk.ts';
export { encodeXor2Chunk, type Xor2Samples } from './chunkenc/xor2-encoder.ts';
export { type ChunkFrame, type ChunkReader, frameChunk, openChunks } from './chunks/chunk-reader.ts';
export { type ChunkPayload, type ChunkWriter, createChunkWriter } from './chunks/chunk-writer.ts';
export {
  CHUNK_LENGTH_BYTES_MAX,
  CHUNK_OVERHEAD_BYTES,
  CHUNK_SEGMENT_BYTES,
  chunkRefOffset,
  chunkRefSegment,
  CHUNKS_HEADER_BYTES,
  CHUNKS_MAGIC,
  CHUNKS_VERSION,
  segmentFileName,
} from './chunks/layout.ts';
export {
  compactBlocks,
  compactBlocksIntoShards,
  type CompactBlocksOptions,
  type CompactDeps,
  type CompactOptions,
  type CompactProgress,
  type CompactShardsOptions,
} from './compact/compact-blocks.ts';
export { type CompactedMeta, compactMetas } from './compact/compact-meta.ts';
export type { SeriesChunkMerge, SeriesParts } from './compact/merge-chunks.ts';
export { shardByHash, type ShardOf, SHARDS_MAX } from './compact/shard-series.ts';
export { verifyCompaction, type VerifyCompactionOptions } from './compact/verify-compaction.ts';
export { type BlockRange, planLevels, selectLevel, selectOverlapping, sortByMinTime, splitByRange } from './compact/plan-levels.ts';
export { type ErrorPlace, isTsdbError, TsdbError, type TsdbErrorCode } from './errors.ts';
export type { FileHandle, FileLock, FileStat, FileSystem, OpenMode } from './file-system.ts';
export { baseName, dirName, joinPath, readFile, replaceFile } from './file-system.ts';
export { type ByteSource, createFileSource, createMemorySource } from './index-file/byte-source.ts';
export { type IndexReader, type LabelIndex, openIndex } from './index-file/index-reader.ts';
export { createIndexWriter, type IndexChunks, type IndexWriter } from './index-file/index-writer.ts';
export {
  be32,
  be64,
  checkIndexHeader,
  CRC_BYTES,
  INDEX_HEADER_BYTES,
  INDEX_MAGIC,
  INDEX_TOC_BYTES,
  INDEX_VERSION,
  type IndexToc,
  parseIndexToc,
  SERIES_ALIGN,
  sectionBody,
} from './index-file/layout.ts';
export { decodePostings, EMPTY_POSTINGS, intersectPostings, type Postings, seekPostings, unionPostings, withoutPostings } from './index-file/postings.ts';
export { parsePostingsTable, type PostingsTable } from './index-file/postings-table.ts';
export { createSeriesEntry, decodeSeriesEntry, type SeriesEntry } from './index-file/series-entry.ts';
export { parseSymbols, type Symbols } from './index-file/symbols.ts';
export { BLOCK_RANGE_MS, createDb, type Db, type DbDeps, type DbHooks, type DbOptions, type DbStats } from './db.ts';
export { type CompactionOutcome, type CompactionPlan, levelRanges, runCompaction, type RunCompactionOptions } from './db/compaction.ts';
export type { DamagedBlock, DeletionReason } from './db/block-set.ts';
export { beyondRetention, type RetentionLimits, type RetentionReason, type SizedBlock } from './db/retention.ts';
export { EXEMPLAR_CHARACTERS_MAX, type Exemplar, type SeriesExemplars } from './head/exemplar-buffer.ts';
export { METRIC_TYPES, type MetricType, type SeriesMetadata } from './head/metadata-table.ts';
export { type Appender, type CommitResult, REFUSED } from './head/head-append.ts';
export { describeReplay, type ReplayNote } from './db/replay-notes.ts';
export { appendRows, type SampleRows } from './head/append-rows.ts';
export { SeriesRefs, type SeriesRefsOptions } from './head/series-refs.ts';
export type { OutOfOrderReplay, ReplayReport, WalRepair } from './head/replay.ts';
export type { HeadChunksReport } from './head/recover-chunks.ts';
export type { EncodedChunk, HistogramCharge } from './query/histogram-batch.ts';
export { matchPostings } from './query/match-postings.ts';
export { isDecodable, SideColumns } from './query/side-columns.ts';
export { createBlockQueryable } from './query/tsdb-queryable.ts';
export { WalCorruptError } from './wal/layout.ts';
export type { WalCompression, ZstdEncode } from './wal/wal-writer.ts';
