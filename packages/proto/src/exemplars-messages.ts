/** The Exemplars API's messages (protos/exemplars.proto). Times are ms since 1970; what lies past the safe integers as in store-messages.ts. */
import type { Labels } from '@gauntlet/model';
import type { LabelSetMessage } from './info-messages.ts';
import { type Codec, field, message, repeated } from './message-codec.ts';
import { fromLabelSet, labelSet, toLabelSet } from './label-set.ts';

/** A request. */
export interface ExemplarsRequest {
  /** PromQL: the exemplars of all its selectors are asked for. */
  readonly query: string;
  /** Inclusive. */
  readonly start: number;
  readonly end: number;
  /** See {@link PARTIAL_RESPONSE}. */
  readonly partialResponseStrategy: number;
}

/** Exemplars of one series, as tsdb's `SeriesExemplars`. */
export interface ExemplarSeries {
  readonly labels: Labels;
  readonly exemplars: readonly { readonly labels: Labels; readonly value: number; readonly timeMs: number }[];
}

/** One message of the stream: a series, or a warning. */
export interface ExemplarsResponse {
  readonly series: ExemplarSeries | undefined;
  /** `''` for none. */
  readonly warning: string;
}

export const exemplarsRequest: Codec<ExemplarsRequest> = message<ExemplarsRequest>({
  query: field(1, 'string'),
  start: field(2, 'int64'),
  end: field(3, 'int64'),
  partialResponseStrategy: field(4, 'int32'),
});

interface ExemplarMessage {
  readonly labels: LabelSetMessage | undefined;
  readonly value: number;
  readonly ts: number;
}

interface ExemplarDataMessage {
  readonly seriesLabels: LabelSetMessage | undefined;
  readonly exemplars: readonly ExemplarMessage[];
}

interface ResponseMessage {
  readonly data: ExemplarDataMessage | undefined;
  readonly warning: string;
}

const exemplar: Codec<ExemplarMessage> = message<ExemplarMessage>({ labels: field(1, labelSet), value: field(2, 'double'), ts: field(3, 'int64') });
const data: Codec<ExemplarDataMessage> = message<ExemplarDataMessage>({ seriesLabels: field(1, labelSet), exemplars: repeated(2, exemplar) });
const response: Codec<ResponseMessage> = message<ResponseMessage>({ data: field(1, data), warning: field(2, 'string') });

/** Encodes a message of an answer. */
export function encodeExemplarsResponse({ series, warning }: ExemplarsResponse): Uint8Array {
  const exemplars = series?.exemplars.map(({ labels, value, timeMs }) => ({ labels: toLabelSet(labels), value, ts: timeMs })) ?? [];
  return response.encode({ data: series === undefined ? undefined : { seriesLabels: toLabelSet(series.labels), exemplars }, warning });
}

/** Decodes a message of an answer. @throws ProtoError */
export function decodeExemplarsResponse(bytes: Uint8Array): ExemplarsResponse {
  const { data: found, warning } = response.decode(bytes);
  if (found === undefined) return { series: undefined, warning };
  const exemplars = found.exemplars.map(({ labels, value, ts }) => ({ labels: fromLabelSet(labels), value, timeMs: ts }));
  return { series: { labels: fromLabelSet(found.seriesLabels), exemplars }, warning };
}
