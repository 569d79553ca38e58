/**
 * The Rules API over gRPC, both ends: `createRulesService` serves groups, `createRulesFrameService` passes encoded messages on, `createRulesClient` asks.
 * Messages stay bytes on their way (as Series frames do): who needs their content decodes them, in a worker where there is one.
 */
import type { MethodDefinition, ServerWritableStream } from '@grpc/grpc-js';
import { keepRuleType, type RuleGroupState } from '@gauntlet/model';
import { RULE_TYPE, type RulesRequest, rulesRequest, rulesResponse } from '@gauntlet/proto';
import type { GrpcService as GrpcMethods } from '@gauntlet/service-kit';
import type { GrpcStoreClient } from './grpc-client.ts';
import { type GrpcService, streamAnswer } from './grpc-server.ts';
import type { CallOptions } from './store.ts';

const buffer = (bytes: Uint8Array): Buffer => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
const plain = (bytes: Buffer): Uint8Array => new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length);

/** Service `thanos.Rules`; answers are encoded RulesResponse messages. */
export const RULES_METHODS: { readonly Rules: MethodDefinition<RulesRequest, Uint8Array> } = {
  Rules: {
    path: '/thanos.Rules/Rules',
    requestStream: false,
    responseStream: true,
    requestSerialize: (value) => buffer(rulesRequest.encode(value)),
    requestDeserialize: (bytes) => rulesRequest.decode(plain(bytes)),
    responseSerialize: buffer,
    responseDeserialize: plain,
  },
};

/** Where a server has its groups from; called once per call. External labels are to be in the rules' labels. */
export type RulesSource = (request: RulesRequest, options: CallOptions) => Promise<readonly RuleGroupState[]> | AsyncIterable<RuleGroupState>;

/** Messages of an answer, encoded. */
export type RulesFrames = (request: RulesRequest, options: CallOptions) => AsyncIterable<Uint8Array>;

/**
 * Service `thanos.Rules` over groups, one message each. Of the request only the type counts, as with Thanos' servers: names, files and
 * matchers are for who shows the answer (`filterRuleGroups`).
 */
export function createRulesService(source: RulesSource): GrpcService {
  return createRulesFrameService((request, options) => encodeRuleGroups(source(request, options), request.type));
}

/** Service `thanos.Rules` that passes messages on. */
export function createRulesFrameService(frames: RulesFrames): GrpcService {
  return {
    name: 'thanos.Rules',
    methods: RULES_METHODS as unknown as GrpcMethods,
    handlers: {
      Rules: (call: ServerWritableStream<RulesRequest, Uint8Array>) => {
        // Never rejects: what goes wrong becomes the status of the call.
        void streamAnswer(call, frames);
      },
    },
  };
}

/** Groups as messages. @param type see RULE_TYPE; rules of other kinds are left out, groups stay */
export async function* encodeRuleGroups(groups: Promise<readonly RuleGroupState[]> | AsyncIterable<RuleGroupState>, type: number): AsyncGenerator<Uint8Array, void> {
  const kind = type === RULE_TYPE.alerting ? 'alerting' : type === RULE_TYPE.recording ? 'recording' : 'all';
  for await (const group of Symbol.asyncIterator in groups ? groups : await groups) {
    const [kept] = keepRuleType([group], kind);
    yield rulesResponse.encode({ group: kept, warning: '' });
  }
}

/** Something that can be asked for rules. */
export interface RulesClient {
  /** Encoded RulesResponse messages. @throws StoreError, or the signal's reason */
  rules(request: RulesRequest, options?: CallOptions): AsyncIterable<Uint8Array>;
}

/** Asks an endpoint for its rules, over the channel of its Store client. */
export function createRulesClient(client: Pick<GrpcStoreClient, 'stream'>): RulesClient {
  return { rules: (request, options = {}) => client.stream(RULES_METHODS.Rules, request, options) };
}
