/**
 * Rules of many endpoints. All are asked at once; one that fails is a warning (strategy WARN), or ends the call (ABORT).
 *
 *   request ─► endpoints ─► messages as they come (`proxyRules`: a querier's gRPC)
 *                              └─► groups and warnings (`fanOutRules`: what filterRuleGroups and mergeRuleGroups take)
 *
 * Source of behaviour: Thanos pkg/rules/proxy.go.
 */
import type { RuleGroupState } from '@gauntlet/model';
import { PARTIAL_RESPONSE, RULE_TYPE, type RulesRequest, rulesResponse } from '@gauntlet/proto';
import { type AskedEndpoint, askEndpoints } from './ask-endpoints.ts';
import type { ByteCharge } from './frame-buffer.ts';
import type { RulesClient } from './rules-service.ts';
import type { CallOptions } from './store.ts';

/** One endpoint that announced rules. */
export interface RulesEndpoint extends RulesClient {
  /** For messages. */
  readonly address: string;
}

/** Options of {@link fanOutRules} and {@link proxyRules}. `timeoutMs` is for each endpoint. */
export interface RulesFanOutOptions extends CallOptions {
  /** Charged with the bytes of what is held. */
  readonly charge?: ByteCharge;
}

/** What all endpoints said. */
export interface RulesAnswer {
  /** Endpoint by endpoint, each in its own order. */
  readonly groups: readonly RuleGroupState[];
  /** Each text once. */
  readonly warnings: readonly string[];
}

/** Decoded groups take more than their bytes on the wire: 3 to 6.5 times, measured on recorded answers. */
const DECODED_FACTOR = 7;

/**
 * Groups and warnings of all endpoints.
 * @throws StoreError of the first endpoint that failed, if the strategy is ABORT; the signal's reason; what the charge throws
 */
export async function fanOutRules(endpoints: readonly RulesEndpoint[], request: RulesRequest, options: RulesFanOutOptions = {}): Promise<RulesAnswer> {
  const groups: RuleGroupState[][] = endpoints.map(() => []);
  const warnings = new Set<string>();
  await askEndpoints(clients(endpoints, request), { ...options, what: 'rules', aborts: request.partialResponseStrategy === PARTIAL_RESPONSE.abort }, {
    onFrame(frame, index) {
      options.charge?.reserve(frame.length * DECODED_FACTOR);
      const { group, warning } = rulesResponse.decode(frame);
      if (warning !== '') warnings.add(warning);
      if (group !== undefined) groups[index]!.push(ofType(group, request.type));
    },
    onWarning: (warning) => warnings.add(warning),
  });
  return { groups: groups.flat(), warnings: [...warnings] };
}

function clients(endpoints: readonly RulesEndpoint[], request: RulesRequest): AskedEndpoint[] {
  return endpoints.map((endpoint) => ({ address: endpoint.address, ask: (options) => endpoint.rules(request, options) }));
}

/** A peer that does not know the type gives all. */
function ofType(group: RuleGroupState, type: number): RuleGroupState {
  if (type !== RULE_TYPE.alerting && type !== RULE_TYPE.recording) return group;
  const kind = type === RULE_TYPE.alerting ? 'alerting' : 'recording';
  return group.rules.every((rule) => rule.kind === kind) ? group : { ...group, rules: group.rules.filter((rule) => rule.kind === kind) };
}

/**
 * Messages of all endpoints, warnings first, nothing merged: the answer of a querier to another. Held until all have answered, since an
 * endpoint that fails late ends the call with ABORT.
 * @throws as {@link fanOutRules}
 */
export async function* proxyRules(endpoints: readonly RulesEndpoint[], request: RulesRequest, options: RulesFanOutOptions = {}): AsyncGenerator<Uint8Array, void> {
  const frames: Uint8Array[][] = endpoints.map(() => []);
  const warnings: string[] = [];
  await askEndpoints(clients(endpoints, request), { ...options, what: 'rules', aborts: request.partialResponseStrategy === PARTIAL_RESPONSE.abort }, {
    onFrame(frame, index) {
      options.charge?.reserve(frame.length);
      frames[index]!.push(frame);
    },
    onWarning: (warning) => void warnings.push(warning),
  });
  for (const warning of warnings) yield rulesResponse.encode({ group: undefined, warning });
  yield* frames.flat();
}
