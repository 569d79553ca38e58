/** The Info API's messages (protos/info.proto). A sub-message that is present announces its API. Times as in store-messages.ts. */
import { type Codec, field, message, repeated } from './message-codec.ts';
import { type Label, label } from './store-messages.ts';

export interface LabelSetMessage {
  readonly labels: readonly Label[];
}

export interface TsdbInfoMessage {
  readonly labels: LabelSetMessage | undefined;
  readonly minTime: number;
  readonly maxTime: number;
}

export interface StoreInfoMessage {
  readonly minTime: number;
  readonly maxTime: number;
  readonly supportsSharding: boolean;
  readonly supportsWithoutReplicaLabels: boolean;
  readonly tsdbInfos: readonly TsdbInfoMessage[];
  readonly supportsProjections: boolean;
}

export interface ExemplarsInfoMessage {
  readonly minTime: number;
  readonly maxTime: number;
}

/** A message without fields, whose presence is the information. */
export type Present = Readonly<Record<string, never>>;

export interface InfoResponse {
  readonly labelSets: readonly LabelSetMessage[];
  readonly componentType: string;
  readonly store: StoreInfoMessage | undefined;
  readonly rules: Present | undefined;
  readonly metricMetadata: Present | undefined;
  readonly targets: Present | undefined;
  readonly exemplars: ExemplarsInfoMessage | undefined;
  readonly query: Present | undefined;
  readonly status: Present | undefined;
}

/** The codec of messages without fields (InfoRequest too). */
export const present: Codec<Present> = message<Present>({});

const labelSet: Codec<LabelSetMessage> = message<LabelSetMessage>({ labels: repeated(1, label) });

const tsdbInfo: Codec<TsdbInfoMessage> = message<TsdbInfoMessage>({
  labels: field(1, labelSet),
  minTime: field(2, 'int64'),
  maxTime: field(3, 'int64'),
});

const storeInfo: Codec<StoreInfoMessage> = message<StoreInfoMessage>({
  minTime: field(1, 'int64'),
  maxTime: field(2, 'int64'),
  supportsSharding: field(3, 'bool'),
  supportsWithoutReplicaLabels: field(5, 'bool'),
  tsdbInfos: repeated(6, tsdbInfo),
  supportsProjections: field(7, 'bool'),
});

const exemplarsInfo: Codec<ExemplarsInfoMessage> = message<ExemplarsInfoMessage>({ minTime: field(1, 'int64'), maxTime: field(2, 'int64') });

export const infoResponse: Codec<InfoResponse> = message<InfoResponse>({
  labelSets: repeated(1, labelSet),
  componentType: field(2, 'string'),
  store: field(3, storeInfo),
  rules: field(4, present),
  metricMetadata: field(5, present),
  targets: field(6, present),
  exemplars: field(7, exemplarsInfo),
  query: field(8, present),
  status: field(9, present),
});
