/** Hints inside google.protobuf.Any (protos/hints.proto): which blocks a gateway shall ask, and which it asked. */
import { type Codec, field, message, repeated } from './message-codec.ts';
import { type Any, type LabelMatcher, labelMatcher } from './store-messages.ts';

/** Requests of all three calls: block matchers are on the pseudo label `__block_id`. */
export interface RequestHints {
  readonly blockMatchers: readonly LabelMatcher[];
  /** Only Series requests carry it. */
  readonly enableQueryStats: boolean;
}

/** Responses of all three calls. */
export interface ResponseHints {
  readonly queriedBlocks: readonly { readonly id: string }[];
}

export const requestHints: Codec<RequestHints> = message<RequestHints>({
  blockMatchers: repeated(1, labelMatcher),
  enableQueryStats: field(2, 'bool'),
});

export const responseHints: Codec<ResponseHints> = message<ResponseHints>({
  queriedBlocks: repeated(1, message<{ readonly id: string }>({ id: field(1, 'string') })),
});

/** Type names as they stand behind `type.googleapis.com/`. */
export type HintType =
  | 'SeriesRequestHints'
  | 'SeriesResponseHints'
  | 'LabelNamesRequestHints'
  | 'LabelNamesResponseHints'
  | 'LabelValuesRequestHints'
  | 'LabelValuesResponseHints';

/** Wraps encoded hints for the `hints` field of a message. */
export function hintsAny(type: HintType, value: Uint8Array): Any {
  return { typeUrl: `type.googleapis.com/hintspb.${type}`, value };
}
