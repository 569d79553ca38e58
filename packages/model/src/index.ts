export type { Labels } from './labels.ts';
export type { Matcher, MatchType } from './matcher.ts';
export {
  CHUNK_ENCODING,
  type ChunkQueryable,
  type ChunkSeries,
  type LabelAnswer,
  type LabelQuery,
  type Queryable,
  type RawChunk,
  type SelectHints,
  type SelectRequest,
  type SeriesBatch,
  type SeriesSet,
  type Warnings,
} from './queryable.ts';
