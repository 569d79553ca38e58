/**
 * The Rules API's messages (protos/rules.proto) from and to the state types of `model`. Differences between the two:
 *
 *   times       Timestamp ◄─► ms; kept to the microsecond, all a double holds exactly; Go's zero time is "never"
 *   states      0 unknown · 1 inactive · 2 pending · 3 firing. Before Thanos moved to Prometheus 3.8 they began with inactive = 0; a message does not say
 *               which, so that such a peer's states show one step too low
 *   rules       one that is neither alert nor recording rule is left out: a kind of the future
 */
import type { AlertInstance, AlertState, PartialResponseStrategy, RuleGroupState, RuleHealth, RuleState } from '@gauntlet/model';
import type { LabelSetMessage } from './info-messages.ts';
import { fromLabelSet, labelSet, toLabelSet } from './label-set.ts';
import { type Codec, field, message, repeated } from './message-codec.ts';
import { PARTIAL_RESPONSE } from './store-messages.ts';

/** Wire numbers of what a request asks for. */
export const RULE_TYPE = { all: 0, alerting: 1, recording: 2 } as const;

/** A request. Servers honour the type; the rest is applied by who shows the answer, as Thanos has it. */
export interface RulesRequest {
  /** See {@link RULE_TYPE}. */
  readonly type: number;
  /** See {@link PARTIAL_RESPONSE}. */
  readonly partialResponseStrategy: number;
  /** Selectors, as text. */
  readonly matcherString: readonly string[];
  readonly ruleName: readonly string[];
  readonly ruleGroup: readonly string[];
  readonly file: readonly string[];
}

/** A request for everything, to be spread and overridden. */
export const EMPTY_RULES_REQUEST: RulesRequest = { type: RULE_TYPE.all, partialResponseStrategy: PARTIAL_RESPONSE.warn, matcherString: [], ruleName: [], ruleGroup: [], file: [] };

/** One message of the stream: a group, or a warning; neither in one of an unknown kind. */
export interface RulesResponse {
  readonly group: RuleGroupState | undefined;
  /** `''` for none. */
  readonly warning: string;
}

export const rulesRequest: Codec<RulesRequest> = message<RulesRequest>({
  type: field(1, 'int32'),
  partialResponseStrategy: field(2, 'int32'),
  matcherString: repeated(3, 'string'),
  ruleName: repeated(4, 'string'),
  ruleGroup: repeated(5, 'string'),
  file: repeated(6, 'string'),
});

interface Timestamp {
  readonly seconds: number;
  readonly nanos: number;
}

interface AlertInstanceMessage {
  readonly labels: LabelSetMessage | undefined;
  readonly annotations: LabelSetMessage | undefined;
  readonly state: number;
  readonly activeAt: Timestamp | undefined;
  readonly value: string;
  readonly strategy: number;
}

interface AlertMessage {
  readonly state: number;
  readonly name: string;
  readonly query: string;
  readonly durationSeconds: number;
  readonly labels: LabelSetMessage | undefined;
  readonly annotations: LabelSetMessage | undefined;
  readonly alerts: readonly AlertInstanceMessage[];
  readonly health: string;
  readonly lastError: string;
  readonly evaluationSeconds: number;
  readonly lastEvaluation: Timestamp | undefined;
  readonly keepFiringForSeconds: number;
}

interface RecordingRuleMessage {
  readonly name: string;
  readonly query: string;
  readonly labels: LabelSetMessage | undefined;
  readonly health: string;
  readonly lastError: string;
  readonly evaluationSeconds: number;
  readonly lastEvaluation: Timestamp | undefined;
}

interface RuleMessage {
  readonly recording: RecordingRuleMessage | undefined;
  readonly alert: AlertMessage | undefined;
}

interface RuleGroupMessage {
  readonly name: string;
  readonly file: string;
  readonly rules: readonly RuleMessage[];
  readonly interval: number;
  readonly evaluationSeconds: number;
  readonly lastEvaluation: Timestamp | undefined;
  readonly strategy: number;
  readonly limit: number;
}

interface RulesResponseMessage {
  readonly group: RuleGroupMessage | undefined;
  readonly warning: string;
}

const timestamp: Codec<Timestamp> = message<Timestamp>({ seconds: field(1, 'int64'), nanos: field(2, 'int32') });

const alertInstance: Codec<AlertInstanceMessage> = message<AlertInstanceMessage>({
  labels: field(1, labelSet),
  annotations: field(2, labelSet),
  state: field(3, 'int32'),
  activeAt: field(4, timestamp),
  value: field(5, 'string'),
  strategy: field(6, 'int32'),
});

const alert: Codec<AlertMessage> = message<AlertMessage>({
  state: field(1, 'int32'),
  name: field(2, 'string'),
  query: field(3, 'string'),
  durationSeconds: field(4, 'double'),
  labels: field(5, labelSet),
  annotations: field(6, labelSet),
  alerts: repeated(7, alertInstance),
  health: field(8, 'string'),
  lastError: field(9, 'string'),
  evaluationSeconds: field(10, 'double'),
  lastEvaluation: field(11, timestamp),
  keepFiringForSeconds: field(12, 'double'),
});

const recordingRule: Codec<RecordingRuleMessage> = message<RecordingRuleMessage>({
  name: field(1, 'string'),
  query: field(2, 'string'),
  labels: field(3, labelSet),
  health: field(4, 'string'),
  lastError: field(5, 'string'),
  evaluationSeconds: field(6, 'double'),
  lastEvaluation: field(7, timestamp),
});

const ruleGroup: Codec<RuleGroupMessage> = message<RuleGroupMessage>({
  name: field(1, 'string'),
  file: field(2, 'string'),
  rules: repeated(3, message<RuleMessage>({ recording: field(1, recordingRule), alert: field(2, alert) })),
  interval: field(4, 'double'),
  evaluationSeconds: field(5, 'double'),
  lastEvaluation: field(6, timestamp),
  strategy: field(8, 'int32'),
  limit: field(9, 'int64'),
});

const response: Codec<RulesResponseMessage> = message<RulesResponseMessage>({ group: field(1, ruleGroup), warning: field(2, 'string') });

export const rulesResponse: Codec<RulesResponse> = {
  encode: (value) => response.encode(responseToMessage(value)),
  decode: (bytes) => responseFromMessage(response.decode(bytes)),
  write: (value, writer) => response.write(responseToMessage(value), writer),
  read: (reader) => responseFromMessage(response.read(reader)),
};

/** Numbers are places in the list. */
const STATES: readonly AlertState[] = ['unknown', 'inactive', 'pending', 'firing'];
/** Seconds of the first of January of year 1, Go's zero time. */
const ZERO_TIME_SECONDS = -62_135_596_800;

function responseToMessage({ group, warning }: RulesResponse): RulesResponseMessage {
  return { group: group === undefined ? undefined : groupToMessage(group), warning };
}

function responseFromMessage({ group, warning }: RulesResponseMessage): RulesResponse {
  return { group: group === undefined ? undefined : groupFromMessage(group), warning };
}

function groupToMessage(group: RuleGroupState): RuleGroupMessage {
  const { name, file, rules, intervalSeconds, limit, strategy, evaluationSeconds, lastEvaluationMs } = group;
  return { name, file, rules: rules.map(ruleToMessage), interval: intervalSeconds, evaluationSeconds, lastEvaluation: toTimestamp(lastEvaluationMs), strategy: PARTIAL_RESPONSE[strategy], limit };
}

function groupFromMessage(group: RuleGroupMessage): RuleGroupState {
  const { name, file, interval, limit, strategy, evaluationSeconds, lastEvaluation } = group;
  const rules = group.rules.flatMap(ruleFromMessage);
  return { name, file, intervalSeconds: interval, limit, strategy: strategyOf(strategy), rules, evaluationSeconds, lastEvaluationMs: fromTimestamp(lastEvaluation) };
}

function ruleToMessage(rule: RuleState): RuleMessage {
  const { name, query, health, lastError, evaluationSeconds } = rule;
  const status = { name, query, labels: toLabelSet(rule.labels), health, lastError, evaluationSeconds, lastEvaluation: toTimestamp(rule.lastEvaluationMs) };
  if (rule.kind === 'recording') return { recording: status, alert: undefined };
  return {
    recording: undefined,
    alert: {
      ...status,
      state: STATES.indexOf(rule.state),
      durationSeconds: rule.forSeconds,
      keepFiringForSeconds: rule.keepFiringForSeconds,
      annotations: toLabelSet(rule.annotations),
      alerts: rule.alerts.map(instanceToMessage),
    },
  };
}

/** The rule, or nothing for one of an unknown kind. */
function ruleFromMessage({ recording, alert: alerting }: RuleMessage): RuleState[] {
  const found = alerting ?? recording;
  if (found === undefined) return [];
  const { name, query, lastError, evaluationSeconds } = found;
  const status = { name, query, labels: fromLabelSet(found.labels), health: healthOf(found.health), lastError, evaluationSeconds, lastEvaluationMs: fromTimestamp(found.lastEvaluation) };
  if (alerting === undefined) return [{ kind: 'recording', ...status }];
  return [
    {
      kind: 'alerting',
      ...status,
      state: stateOf(alerting.state),
      forSeconds: alerting.durationSeconds,
      keepFiringForSeconds: alerting.keepFiringForSeconds,
      annotations: fromLabelSet(alerting.annotations),
      alerts: alerting.alerts.map(instanceFromMessage),
    },
  ];
}

function instanceToMessage({ labels, annotations, state, activeAtMs, value, strategy }: AlertInstance): AlertInstanceMessage {
  const activeAt = activeAtMs === undefined ? undefined : toTimestamp(activeAtMs);
  return { labels: toLabelSet(labels), annotations: toLabelSet(annotations), state: STATES.indexOf(state), activeAt, value, strategy: PARTIAL_RESPONSE[strategy] };
}

function instanceFromMessage({ labels, annotations, state, activeAt, value, strategy }: AlertInstanceMessage): AlertInstance {
  return { labels: fromLabelSet(labels), annotations: fromLabelSet(annotations), state: stateOf(state), activeAtMs: fromTimestamp(activeAt), value, strategy: strategyOf(strategy) };
}

function stateOf(number: number): AlertState {
  return STATES[number] ?? 'unknown';
}

function strategyOf(number: number): PartialResponseStrategy {
  return number === PARTIAL_RESPONSE.abort ? 'abort' : 'warn';
}

function healthOf(text: string): RuleHealth {
  return text === 'ok' || text === 'err' ? text : 'unknown';
}

function toTimestamp(timeMs: number | undefined): Timestamp {
  if (timeMs === undefined) return { seconds: ZERO_TIME_SECONDS, nanos: 0 };
  const micros = Math.round(timeMs * 1000);
  const seconds = Math.floor(micros / 1e6);
  return { seconds, nanos: (micros - seconds * 1e6) * 1000 };
}

function fromTimestamp(time: Timestamp | undefined): number | undefined {
  if (time === undefined || time.seconds <= ZERO_TIME_SECONDS) return undefined;
  return (time.seconds * 1e6 + Math.floor(time.nanos / 1000)) / 1000;
}
