/**
 * Rules of many endpoints. All are asked at once; one that fails is a warning (strategy WARN), or ends the call (ABORT).
 *
 *   request ─► endpoints ─► messages as they come (`proxyRules`: a querier's gRPC)
 *                              └─► groups and warnings (`fanOutRules`: what filterRuleGroups and mergeRuleGroups take)
 *
 * Source of behaviour: Thanos pkg/rules/proxy.go.
 */
import type { RuleGroupState } from '@gauntlet/model';
import { PARTIAL_RESPONSE, ProtoError, RULE_TYPE, type RulesRequest, rulesResponse } from '@gauntlet/proto';
import { StoreError } from './errors.ts';
import type { ByteCharge } from './frame-buffer.ts';
import { errorCode, errorText } from './grpc-status.ts';
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
  await askAll(endpoints, request, options, {
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
  await askAll(endpoints, request, options, {
    onFrame(frame, index) {
      options.charge?.reserve(frame.length);
      frames[index]!.push(frame);
    },
    onWarning: (warning) => void warnings.push(warning),
  });
  for (const warning of warnings) yield rulesResponse.encode({ group: undefined, warning });
  yield* frames.flat();
}

interface Receiver {
  onFrame(frame: Uint8Array, index: number): void;
  onWarning(warning: string): void;
}

async function askAll(endpoints: readonly RulesEndpoint[], request: RulesRequest, options: RulesFanOutOptions, receiver: Receiver): Promise<void> {
  const { timeoutMs, tenant, signal } = options;
  const stop = new AbortController();
  const callOptions: CallOptions = {
    signal: signal === undefined ? stop.signal : AbortSignal.any([stop.signal, signal]),
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
    ...(tenant === undefined ? {} : { tenant }),
  };
  const ask = async (endpoint: RulesEndpoint, index: number): Promise<void> => {
    let isAnswering = false;
    try {
      for await (const frame of endpoint.rules(request, callOptions)) {
        isAnswering = true;
        receiver.onFrame(frame, index);
      }
    } catch (error) {
      signal?.throwIfAborted();
      // Refused by the charge, or ended because another endpoint failed.
      if (stop.signal.aborted || !(error instanceof StoreError || error instanceof ProtoError)) throw error;
      const text = `${isAnswering ? 'receiving' : 'fetching'} rules from rules client ${endpoint.address}: ${errorText(error)}`;
      if (request.partialResponseStrategy === PARTIAL_RESPONSE.abort) throw new StoreError(errorCode(error), text, { cause: error });
      receiver.onWarning(text);
    }
  };
  let first: { readonly error: unknown } | undefined;
  await Promise.allSettled(
    endpoints.map((endpoint, index) =>
      ask(endpoint, index).catch((error: unknown) => {
        first ??= { error };
        stop.abort(new DOMException('another endpoint failed', 'AbortError'));
      }),
    ),
  );
  if (first !== undefined) throw first.error;
}
