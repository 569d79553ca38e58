/** The seam of model. README.md has the reading order. */
export {
  formatDuration,
  formatGoDuration,
  parseDuration,
  parseGoDuration,
  parseSignedDuration,
} from './duration.ts';
export { ModelError, type ModelErrorCode } from './errors.ts';
export { quoteGo } from './go-quote.ts';
export { addHistograms, combineHints, divHistogram, type HistogramArithmetic, hintsCollide, mulHistogram, subHistograms } from './histogram/arithmetic.ts';
export { boundOf } from './histogram/bucket-bounds.ts';
export { allBuckets, allBucketsDescending, type BucketCursor, negativeBuckets, positiveBuckets } from './histogram/bucket-cursor.ts';
export { checkHistogram, checkIntegerHistogram } from './histogram/check-histogram.ts';
export { detectReset } from './histogram/detect-reset.ts';
export { averageOfHistogram, fractionOfHistogram, type HistogramEstimate, quantileOfHistogram, varianceOfHistogram } from './histogram/estimate.ts';
export {
  copyHistogram,
  createHistogram,
  CUSTOM_BUCKETS_SCHEMA,
  type FloatHistogram,
  fromIntegerHistogram,
  type HistogramSpan,
  type IntegerHistogram,
  isStaleHistogram,
  RESET_HINTS,
  type ResetHint,
  STALE_HISTOGRAM,
  usesCustomBuckets,
  withResetHint,
} from './histogram/float-histogram.ts';
export { formatGoFloat, formatHistogram, formatHistogramLiteral } from './histogram/format-histogram.ts';
export { bucketsBefore, hasSameRunSpans, type HistogramRun, histogramOfRun, isRunBeyondZero, isSameRunScale } from './histogram/histogram-run.ts';
export { HistogramMean, HistogramSum } from './histogram/histogram-sum.ts';
export { compactHistogram, histogramsAlmostEqual, histogramsEqual, reduceResolution } from './histogram/layout.ts';
export { parseHistogramLiteral, type ParsedHistogram } from './histogram/parse-literal.ts';
export { keepAbove, keepBelow } from './histogram/trim.ts';
export { hashForLabels, hashLabels, hashWithoutLabels, stableHashLabels } from './label-hash.ts';
export { isValidLabelName, isValidMetricName, isWellFormed, type NameScheme } from './label-names.ts';
export {
  compareLabels,
  EMPTY_LABELS,
  extendLabels,
  formatLabels,
  getLabel,
  hasLabel,
  type Labels,
  labelsEqual,
  labelsFromMap,
  labelsFromPairs,
  labelsToObject,
  METRIC_NAME,
  onlyLabels,
  quoteNameIfNeeded,
  withLabel,
  withoutLabels,
} from './labels.ts';
export { LabelsBuilder } from './labels-builder.ts';
export { filterRuleGroups, keepRuleType, mergeRuleGroups, type RuleGroupFilter, withExternalLabels } from './merge-rule-groups.ts';
export { createMatcher, formatMatcher, type Matcher, matchesAll, type MatchType } from './matcher.ts';
export {
  CHUNK_ENCODING,
  type ChunkQueryable,
  type ChunkSeries,
  type HistogramColumn,
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
export { type AnchoredRegexp, compileAnchored, compileSearch, type SearchRegexp } from './regexp/compile-regexp.ts';
export type { Template } from './regexp/expand-template.ts';
export type {
  AlertingRuleState,
  AlertInstance,
  AlertState,
  PartialResponseStrategy,
  RecordingRuleState,
  RuleGroupState,
  RuleHealth,
  RuleState,
} from './rule-groups.ts';
export { createRelabelRule, relabel, type RelabelAction, relabelBuilder, type RelabelConfig, type RelabelRule } from './relabel.ts';
export {
  isStaleNaN,
  NORMAL_NAN_HI,
  NORMAL_NAN_LO,
  STALE_NAN_HI,
  STALE_NAN_LO,
  wordsOf,
  writeStaleNaN,
} from './sample.ts';
export { MAX_TIME_MS, MIN_TIME_MS, parseTimestamp } from './timestamp.ts';
