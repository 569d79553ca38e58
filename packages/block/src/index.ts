/** Thanos blocks in a bucket. See README.md. */
export { CHUNKS_DIR, INDEX_FILE, INDEX_HEADER_FILE, META_FILE, blockIdOf } from './block-id.ts';
export { BlockError } from './errors.ts';
export type { BlockErrorCode } from './errors.ts';
export { BLOCK_SOURCES, UNKNOWN_UPLOAD_TIME, createThanosSection, fileBytes, formatThanosMeta, groupKey, parseThanosMeta, uploadTimeMs } from './thanos-meta.ts';
export type { BlockFile, BlockSource, ThanosMeta, ThanosSection } from './thanos-meta.ts';
export { MARKERS, MARKER_REASONS, formatMarker, markBlock, markerKey, parseMarker, readMarker, unmarkBlock } from './markers.ts';
export type { MarkDeps, Marker, MarkerKind } from './markers.ts';
export { checkLocalBlock, gatherFiles, uploadBlock } from './upload.ts';
export type { UploadBlockOptions, UploadDeps } from './upload.ts';
export { deleteBlock, downloadBlock, readBucketMeta } from './download.ts';
export type { DownloadBlockOptions } from './download.ts';
export { createShipper } from './shipper.ts';
export type { Shipper, ShipperDeps, ShipperOptions } from './shipper.ts';
export { SHIPPER_STATE_FILE } from './shipper-state.ts';
