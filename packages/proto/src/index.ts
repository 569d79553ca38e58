/** The seam of proto: messages and their wire form. README.md has the reading order. */
export { ProtoError, type ProtoErrorCode } from './errors.ts';
export { MAX_TIME_MS, MIN_TIME_MS, WIRE, WireReader } from './wire-reader.ts';
export { int64Length, uint32Length, WireWriter } from './wire-writer.ts';
export { type Codec, type Field, field, mapField, message, repeated } from './message-codec.ts';
export {
  AGGREGATE,
  type Any,
  EMPTY_LABEL_NAMES_REQUEST,
  EMPTY_SERIES_REQUEST,
  type Label,
  label,
  type LabelMatcher,
  labelMatcher,
  type LabelNamesRequest,
  labelNamesRequest,
  type LabelNamesResponse,
  labelNamesResponse,
  type LabelValuesRequest,
  labelValuesRequest,
  type LabelValuesResponse,
  labelValuesResponse,
  MATCHER_TYPE,
  PARTIAL_RESPONSE,
  type QueryHints,
  type SeriesRequest,
  seriesRequest,
  type ShardInfo,
} from './store-messages.ts';
export {
  hintsAny,
  type HintType,
  type RequestHints,
  requestHints,
  type ResponseHints,
  responseHints,
} from './hint-messages.ts';
export {
  type ExemplarsInfoMessage,
  type InfoResponse,
  infoResponse,
  type LabelSetMessage,
  type Present,
  present,
  type StoreInfoMessage,
  type TsdbInfoMessage,
} from './info-messages.ts';
export {
  decodeExemplarsResponse,
  encodeExemplarsResponse,
  type ExemplarSeries,
  type ExemplarsRequest,
  exemplarsRequest,
  type ExemplarsResponse,
} from './exemplars-messages.ts';
export { EMPTY_RULES_REQUEST, RULE_TYPE, type RulesRequest, rulesRequest, type RulesResponse, rulesResponse } from './rules-messages.ts';
export { compareFrameLabels, createSeriesFrame, frameLabels, framePartData, LABEL_STRIDE, SeriesFrame } from './series-frame.ts';
export { decodeSeriesFrame } from './series-frame-decode.ts';
export {
  encodeHintsFrame,
  encodeLabelFields,
  encodeWarningFrame,
  SeriesFrameEncoder,
  type SeriesFrameEncoderOptions,
  writeRawChunkField,
  labelFieldsRoom,
  putLabelFields,
} from './series-frame-encode.ts';
export { columnLabels, createTimeSeriesColumns, type MetadataRange, TimeSeriesColumns } from './time-series-columns.ts';
export { decodeTimeSeries, decodeWriteRequest, decodeWriteRequestField, decodeWriteRequestV2 } from './remote-write-decode.ts';
export { WriteRequestScanner } from './write-request-scan.ts';
export { WriteRequestEncoder } from './remote-write-encode.ts';
export {
  ChunkedReadSplitter,
  type ChunkedReadOptions,
  decodeChunkedReadResponse,
  decodeReadResponse,
  encodeChunkedFrame,
  READ_RESPONSE_TYPE,
  type ReadHints,
  type ReadQuery,
  type ReadRequest,
  readRequest,
} from './remote-read.ts';
