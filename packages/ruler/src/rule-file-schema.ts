/**
 * The schema of rule files, with Prometheus' checks on top of the shape.
 *
 *   groups:
 *   - name, interval, query_offset, limit, labels, partial_response_strategy
 *     rules:
 *     - record | alert, expr, for, keep_firing_for, labels, annotations
 *
 * Shape (unknown keys, kinds, durations) is checked by the schemas of service-kit; what belongs together is checked here, where the nodes still are.
 * Source: Prometheus docs/configuration/{recording_rules,alerting_rules}.md, model/rulefmt; Thanos docs/components/rule.md.
 */
import { isValidLabelName, isValidMetricName, isWellFormed, METRIC_NAME, parseDuration, type PartialResponseStrategy } from '@gauntlet/model';
import { parseExpr, type ParserOptions, printExpr, PromqlError } from '@gauntlet/promql';
import { type ConfigReader, errorText, schema, type Schema, type YamlNode } from '@gauntlet/service-kit';
import { parseTemplate } from './template/parse-template.ts';
import { offsetInFile } from './text-position.ts';
import type { LabelTexts, RuleConfig, RuleGroupConfig } from './types.ts';

/** What reading a rule file gathers besides groups and problems. */
export interface RuleFileNotes {
  /** Names of groups and rules by their path (`groups[0].rules[2]`), for problems found at or below it. */
  readonly names: Map<string, string>;
  /** Offsets of the names of group labels whose templates were checked. */
  readonly checkedLabels: Set<number>;
  /** Things that are allowed and probably not meant. */
  readonly warnings: { readonly offset: number; readonly path: string; readonly message: string }[];
}

/** A value and where it stands. */
interface Located<T> {
  readonly value: T;
  readonly at: YamlNode;
}

/** One entry of labels or annotations. */
interface TextEntry {
  readonly name: string;
  readonly nameAt: YamlNode;
  readonly text: string;
  readonly textAt: YamlNode;
}

/** What all checks of one file need. */
interface FileContext {
  readonly text: string;
  readonly file: string;
  readonly options: ParserOptions;
  readonly notes: RuleFileNotes;
}

/**
 * @param text the whole file, for places inside of scalars
 * @param file becomes `file` of the groups
 */
export function ruleFileSchema(text: string, file: string, options: ParserOptions, notes: RuleFileNotes): Schema<{ readonly groups: readonly RuleGroupConfig[] }> {
  const group = groupSchema({ text, file, options, notes });
  const groups = schema.list(group);
  const checked: Schema<readonly RuleGroupConfig[]> = {
    ...groups,
    decode(node, reader) {
      const read = groups.decode(node, reader);
      const seen = new Set<string>();
      reader.items(node).forEach((item) => {
        const name = notes.names.get(item.path);
        if (name === undefined) return;
        if (seen.has(name)) reader.report(nodeOfKey(item, 'name', reader), `group name ${JSON.stringify(name)} is repeated in the same file`);
        seen.add(name);
      });
      return read;
    },
  };
  return schema.orEmpty({ groups: schema.withDefault(checked, []) });
}

function groupSchema(context: FileContext): Schema<RuleGroupConfig> {
  const shape = schema.object({
    name: schema.optional(located(schema.string())),
    interval: schema.withDefault(durationMs(), 0),
    query_offset: schema.optional(durationMs()),
    limit: schema.withDefault(schema.int(), 0),
    labels: schema.withDefault(texts(), []),
    partial_response_strategy: schema.withDefault(schema.oneOf(['', 'warn', 'abort'], { ignoreCase: true }), 'abort'),
    rules: schema.withDefault(schema.list(deferredRule()), []),
  });
  return {
    wants: 'group',
    absent: (at, reader, key) => reader.report(at, `${key}: wanted a group, got nothing`),
    decode(node, reader) {
      const read = shape.decode(node, reader);
      if (read === undefined) return undefined;
      const name = read.name?.value ?? '';
      if (name === '') reader.report(read.name?.at ?? node, 'group name must not be empty');
      else context.notes.names.set(node.path, name);
      const groupLabels = read.labels ?? [];
      checkLabels(groupLabels, reader);
      const rules: RuleConfig[] = [];
      const ruleNodes: YamlNode[] = [];
      for (const ruleNode of read.rules ?? []) {
        const rule = readRule(ruleNode, groupLabels, reader, context);
        if (rule === undefined) continue;
        rules.push(rule);
        ruleNodes.push(ruleNode);
      }
      noteDuplicates(rules, ruleNodes, context.notes);
      const strategy: PartialResponseStrategy = read.partial_response_strategy === 'warn' ? 'warn' : 'abort';
      const intervalMs = read.interval === 0 ? undefined : read.interval;
      return { name, file: context.file, intervalMs, queryOffsetMs: read.query_offset, limit: read.limit ?? 0, strategy, rules };
    },
  };
}

const RULE_SHAPE = schema.object({
  record: schema.optional(located(schema.string())),
  alert: schema.optional(located(schema.string())),
  expr: schema.optional(located(schema.string())),
  for: schema.optional(located(durationMs())),
  keep_firing_for: schema.optional(located(durationMs())),
  labels: schema.withDefault(texts(), []),
  annotations: schema.withDefault(texts(), []),
});

function readRule(node: YamlNode, groupLabels: readonly TextEntry[], reader: ConfigReader, context: FileContext): RuleConfig | undefined {
  const read = RULE_SHAPE.decode(node, reader);
  if (read === undefined) return undefined;
  const record = read.record?.value ?? '';
  const alert = read.alert?.value ?? '';
  if (record !== '' || alert !== '') context.notes.names.set(node.path, alert !== '' ? alert : record);
  if (record !== '' && alert !== '') reader.report(read.alert!.at, "only one of 'record' and 'alert' must be set");
  if (record === '' && alert === '') reader.report(read.record?.at ?? read.alert?.at ?? node, "one of 'record' or 'alert' must be set");
  const expr = readExpr(read.expr, node, reader, context);
  const labels = read.labels ?? [];
  const annotations = read.annotations ?? [];
  checkLabels(labels, reader);
  for (const { name, nameAt } of annotations) {
    if (!isValidLabelName(name)) reader.report(nameAt, `invalid annotation name: ${JSON.stringify(name)}`);
  }
  if (record !== '') {
    if (annotations.length > 0) reader.report(annotations[0]!.nameAt, "invalid field 'annotations' in recording rule");
    if (isSet(read.for)) reader.report(read.for!.at, "invalid field 'for' in recording rule");
    if (isSet(read.keep_firing_for)) reader.report(read.keep_firing_for!.at, "invalid field 'keep_firing_for' in recording rule");
    if (!isValidMetricName(record)) reader.report(read.record!.at, `invalid recording rule name: ${JSON.stringify(record)}`);
    if (/[{}]/.test(record)) reader.report(read.record!.at, `braces in the recording rule name ${JSON.stringify(record)}; should they be in expr?`);
  }
  if (alert !== '') checkTemplates(labels, annotations, reader, context.text);
  if (alert !== '') checkGroupTemplates(groupLabels, labels, reader, context);
  const merged = mergeTexts(groupLabels, labels);
  if (alert === '') return { kind: 'recording', name: record, expr, labels: merged };
  return { kind: 'alerting', name: alert, expr, labels: merged, annotations: mergeTexts([], annotations), forMs: read.for?.value ?? 0, keepFiringForMs: read.keep_firing_for?.value ?? 0 };
}

/** The expression as printed; the empty text after a problem. */
function readExpr(expr: Located<string> | undefined, ruleNode: YamlNode, reader: ConfigReader, context: FileContext): string {
  const text = expr?.value ?? '';
  if (expr === undefined || text === '') {
    reader.report(expr?.at ?? ruleNode, "field 'expr' must be set in rule");
    return '';
  }
  try {
    return printExpr(parseExpr(text, context.options));
  } catch (error) {
    const index = error instanceof PromqlError ? (error.pos?.start ?? 0) : 0;
    reader.report(inside(expr.at, text, index, context.text), `could not parse expression: ${errorText(error)}`);
    return '';
  }
}

function checkLabels(labels: readonly TextEntry[], reader: ConfigReader): void {
  for (const { name, nameAt, text, textAt } of labels) {
    if (!isValidLabelName(name) || name === METRIC_NAME) reader.report(nameAt, `invalid label name: ${JSON.stringify(name)}`);
    if (!isWellFormed(text)) reader.report(textAt, `invalid label value: ${JSON.stringify(text)}`);
  }
}

function checkTemplates(labels: readonly TextEntry[], annotations: readonly TextEntry[], reader: ConfigReader, fileText: string): void {
  for (const [what, entries] of [['label', labels], ['annotation', annotations]] as const) {
    for (const { name, text, textAt } of entries) {
      for (const { offset, message } of parseTemplate(text).problems) reader.report(inside(textAt, text, offset, fileText), `${what} ${JSON.stringify(name)}: ${message}`);
    }
  }
}

/** Labels of the group are templates too where alerting rules take them over; each is reported once, for the first rule that does. */
function checkGroupTemplates(groupLabels: readonly TextEntry[], ruleLabels: readonly TextEntry[], reader: ConfigReader, context: FileContext): void {
  for (const { name, nameAt, text, textAt } of groupLabels) {
    if (ruleLabels.some((label) => label.name === name)) continue;
    if (context.notes.checkedLabels.has(nameAt.offset)) continue;
    context.notes.checkedLabels.add(nameAt.offset);
    for (const { offset, message } of parseTemplate(text).problems) reader.report(inside(textAt, text, offset, context.text), `label ${JSON.stringify(name)}: ${message}`);
  }
}

/** Rules of one group that would write the same series or alerts: Prometheus loads them, and the second has its samples refused. */
function noteDuplicates(rules: readonly RuleConfig[], nodes: readonly YamlNode[], notes: RuleFileNotes): void {
  const seen = new Set<string>();
  rules.forEach((rule, i) => {
    if (rule.name === '') return;
    const key = JSON.stringify([rule.kind, rule.name, rule.labels]);
    if (seen.has(key)) {
      notes.warnings.push({ offset: nodes[i]!.offset, path: nodes[i]!.path, message: 'another rule of the group has the same name and labels' });
    }
    seen.add(key);
  });
}

/** Entries of both, those of the second win, in the order of names. */
function mergeTexts(first: readonly TextEntry[], second: readonly TextEntry[]): LabelTexts {
  const merged = new Map<string, string>();
  for (const { name, text } of [...first, ...second]) merged.set(name, text);
  return [...merged].sort(([a], [b]) => (a < b ? -1 : 1));
}

function isSet(duration: Located<number> | undefined): boolean {
  return duration !== undefined && duration.value !== 0 && duration.value !== undefined;
}

function inside(at: YamlNode, value: string, index: number, fileText: string): YamlNode {
  return { ...at, offset: offsetInFile(fileText, at, value, index) };
}

function nodeOfKey(map: YamlNode, key: string, reader: ConfigReader): YamlNode {
  return reader.entries(map).find((entry) => entry.key === key)?.value ?? map;
}

function durationMs(): Schema<number> {
  return schema.mapped(schema.string(), parseDuration);
}

/** Remembers where a value stands. */
function located<T>(inner: Schema<T>): Schema<Located<T>> {
  return {
    wants: inner.wants,
    decode(node, reader) {
      const value = inner.decode(node, reader);
      return value === undefined ? undefined : { value, at: node };
    },
    absent(at, reader, key) {
      const value = inner.absent(at, reader, key);
      return value === undefined ? undefined : { value, at };
    },
  };
}

/** Rules are read after the rest of their group, whose labels they take over. */
function deferredRule(): Schema<YamlNode> {
  return { wants: 'rule', decode: (node) => node, absent: (at) => at };
}

/** Free names with texts, a null text being empty. */
function texts(): Schema<readonly TextEntry[]> {
  const wants = 'map of string';
  return {
    wants,
    absent: (at, reader, key) => reader.report(at, `missing '${key}': wanted ${wants}`),
    decode(node, reader) {
      if (node.kind !== 'map') return reader.report(node, `${node.path}: wanted ${wants}, got a ${node.kind}`);
      const entries: TextEntry[] = [];
      for (const { key, keyNode, value } of reader.entries(node)) {
        if (value.kind === 'scalar') entries.push({ name: key, nameAt: keyNode, text: reader.text(value), textAt: value });
        else if (value.kind === 'null') entries.push({ name: key, nameAt: keyNode, text: '', textAt: value });
        else reader.report(value, `${value.path}: wanted string, got a ${value.kind}`);
      }
      return entries;
    },
  };
}
