/**
 * The Store contract: what a sidecar, a gateway, a TSDB and a proxy over others have in common. Series travel as encoded frames,
 * so that passing them on costs no decoding; who computes with them decodes (`@gauntlet/proto`, decodeSeriesFrame).
 *
 *   frames of one call   sorted by labels (bytes); one series may be spread over consecutive frames; batches up to the
 *                        request's responseBatchSize; warnings anywhere
 */
import type { Labels } from '@gauntlet/model';
import type {
  InfoResponse,
  LabelNamesRequest,
  LabelNamesResponse,
  LabelValuesRequest,
  LabelValuesResponse,
  SeriesRequest,
} from '@gauntlet/proto';

/** Label sets and time range of one TSDB or block stream behind a store. */
export interface TsdbInfo {
  readonly labels: Labels;
  /** ms, inclusive; MIN_TIME_MS and MAX_TIME_MS are open. */
  readonly mint: number;
  readonly maxt: number;
}

/** What a store announces about itself; see protos/info.proto. */
export interface StoreInfo {
  /** External label sets; none means "anything". */
  readonly labelSets: readonly Labels[];
  /** ms, inclusive; MIN_TIME_MS and MAX_TIME_MS are open. */
  readonly mint: number;
  readonly maxt: number;
  /** Component name: `sidecar`, `store`, `query`, … */
  readonly storeType: string;
  readonly supportsSharding: boolean;
  readonly supportsWithoutReplicaLabels: boolean;
  readonly tsdbInfos: readonly TsdbInfo[];
}

/** Tells a store when frames it lent are free again. */
export interface FrameSender {
  /** Resolves once nobody refers to the frames yielded so far, or the call is over. @returns false in the latter case */
  sent(): Promise<boolean>;
}

/** Options of every call. */
export interface CallOptions {
  /** Ends the call; it then throws. */
  readonly signal?: AbortSignal;
  /** Sent on as gRPC metadata `thanos-tenant`. */
  readonly tenant?: string;
  /** Most time for a remote call, ms. */
  readonly timeoutMs?: number;
}

/** A source of series. All methods throw StoreError. */
export interface Store {
  /** Encoded SeriesResponse messages, see the head of this file. A frame belongs to the consumer. */
  series(request: SeriesRequest, options?: CallOptions): AsyncIterable<Uint8Array>;
  /**
   * As `series`, for a server that sends each frame at once: frames stay the store's, which uses their memory again once the sender says so, and the
   * GRPC_HEADER_BYTES before each are free to be written over. For stores that send much; stores over stores leave it out.
   */
  lendSeries?(request: SeriesRequest, options: CallOptions, sender: FrameSender): AsyncIterable<Uint8Array>;
  labelNames(request: LabelNamesRequest, options?: CallOptions): Promise<LabelNamesResponse>;
  labelValues(request: LabelValuesRequest, options?: CallOptions): Promise<LabelValuesResponse>;
  /** The current announcement; cheap, may differ from call to call. */
  info(): StoreInfo;
}

/** Pairs of labels as messages have them. */
export function labelsToMessage(labels: Labels): { readonly labels: readonly { readonly name: string; readonly value: string }[] } {
  const out: { name: string; value: string }[] = [];
  for (let i = 0; i < labels.length; i += 2) out.push({ name: labels[i]!, value: labels[i + 1]! });
  return { labels: out };
}

/** Labels of a message, in its order. */
export function labelsFromMessage(message: { readonly labels: readonly { readonly name: string; readonly value: string }[] } | undefined): Labels {
  return (message?.labels ?? []).flatMap((label) => [label.name, label.value]);
}

/** The Info answer of a server that offers the Store API and nothing else; spread it to announce more. */
export function infoToMessage(info: StoreInfo): InfoResponse {
  return {
    labelSets: info.labelSets.map(labelsToMessage),
    componentType: info.storeType,
    store: {
      minTime: info.mint,
      maxTime: info.maxt,
      supportsSharding: info.supportsSharding,
      supportsWithoutReplicaLabels: info.supportsWithoutReplicaLabels,
      tsdbInfos: info.tsdbInfos.map((tsdb) => ({ labels: labelsToMessage(tsdb.labels), minTime: tsdb.mint, maxTime: tsdb.maxt })),
      supportsProjections: false,
    },
    rules: undefined,
    metricMetadata: undefined,
    targets: undefined,
    exemplars: undefined,
    query: undefined,
    status: undefined,
  };
}

/** @returns `undefined` if the endpoint has no Store API */
export function infoFromMessage(message: InfoResponse): StoreInfo | undefined {
  const store = message.store;
  if (store === undefined) return undefined;
  return {
    labelSets: message.labelSets.map(labelsFromMessage),
    mint: store.minTime,
    maxt: store.maxTime,
    storeType: message.componentType,
    supportsSharding: store.supportsSharding,
    supportsWithoutReplicaLabels: store.supportsWithoutReplicaLabels,
    tsdbInfos: store.tsdbInfos.map((tsdb) => ({ labels: labelsFromMessage(tsdb.labels), mint: tsdb.minTime, maxt: tsdb.maxTime })),
  };
}
