export { formatDuration, parseDuration } from './duration.ts';
export { ModelError, type ModelErrorCode } from './errors.ts';
export {
  EMPTY_LABELS,
  METRIC_NAME,
  compareLabels,
  extendLabels,
  formatLabels,
  formatMetric,
  getLabel,
  hashLabels,
  isLegacyLabelName,
  isLegacyMetricName,
  labelsEqual,
  labelsFromMap,
  labelsFromPairs,
  labelsToMap,
  onlyLabels,
  quoteGo,
  withLabel,
  withoutLabels,
  type Labels,
} from './labels.ts';
export { createMatcher, formatMatcher, type Matcher, type MatchType } from './matcher.ts';
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
