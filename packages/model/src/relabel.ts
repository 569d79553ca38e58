/**
 * Relabelling: rules that change, keep or drop a label set, one after the other until one drops it.
 *
 *   value = source labels joined by the separator; the regex is anchored
 *
 * Defaults: action replace, separator ";", regex (.*), replacement $1.
 * Source: Prometheus docs/configuration, "relabel_config"; model/relabel/relabel.go for texts.
 */
import { utf8Encode } from '@gauntlet/bytes';
import { ModelError } from './errors.ts';
import { quoteGo } from './go-quote.ts';
import { isValidLabelName, type NameScheme } from './label-names.ts';
import type { Labels } from './labels.ts';
import { LabelsBuilder } from './labels-builder.ts';
import { md5 } from './md5.ts';
import { compileSearch, type SearchRegexp } from './regexp/compile-regexp.ts';
import type { Template } from './regexp/expand-template.ts';

/** What a rule does. */
export type RelabelAction = 'replace' | 'keep' | 'drop' | 'keepequal' | 'dropequal' | 'hashmod' | 'labelmap' | 'labeldrop' | 'labelkeep' | 'lowercase' | 'uppercase';

const ACTIONS: ReadonlySet<string> = new Set(['replace', 'keep', 'drop', 'keepequal', 'dropequal', 'hashmod', 'labelmap', 'labeldrop', 'labelkeep', 'lowercase', 'uppercase']);

const DEFAULT_SEPARATOR = ';';
const DEFAULT_REGEX = '(.*)';
const DEFAULT_REPLACEMENT = '$1';

/** A rule as written; what is absent has its default. */
export interface RelabelConfig {
  readonly sourceLabels?: readonly string[] | undefined;
  readonly separator?: string | undefined;
  readonly regex?: string | undefined;
  /** For hashmod: a safe integer above 0. */
  readonly modulus?: number | undefined;
  readonly targetLabel?: string | undefined;
  readonly replacement?: string | undefined;
  /** Upper or lower case. */
  readonly action?: string | undefined;
}

/** A checked and compiled rule. */
export interface RelabelRule {
  readonly action: RelabelAction;
  readonly sourceLabels: readonly string[];
  readonly separator: string;
  readonly regex: SearchRegexp;
  readonly modulus: number;
  readonly targetLabel: Template;
  readonly replacement: Template;
  readonly scheme: NameScheme;
  /** Whether the regex is the default: then an empty value still sets a literal replacement without matching. */
  readonly isDefaultRegex: boolean;
}

/**
 * Checks and compiles a rule.
 * @throws ModelError ERR_RELABEL_CONFIG with Prometheus' texts; ERR_REGEX_SYNTAX for a bad pattern
 */
export function createRelabelRule(config: RelabelConfig, scheme: NameScheme = 'utf8'): RelabelRule {
  const action = (config.action ?? 'replace').toLowerCase();
  if (!ACTIONS.has(action)) throw refuse(`unknown relabel action ${quoteGo(config.action!)}`);
  const regex = compileSearch(config.regex ?? DEFAULT_REGEX);
  checkConfig(config, action as RelabelAction, scheme);
  return {
    action: action as RelabelAction,
    sourceLabels: config.sourceLabels ?? [],
    separator: config.separator ?? DEFAULT_SEPARATOR,
    regex,
    modulus: config.modulus ?? 0,
    targetLabel: regex.template(config.targetLabel ?? ''),
    replacement: regex.template(config.replacement ?? DEFAULT_REPLACEMENT),
    scheme,
    isDefaultRegex: config.regex === undefined,
  };
}

/**
 * Applies rules to a label set.
 * @returns the result, the argument itself if nothing changed, or undefined if a rule dropped the set
 */
export function relabel(labels: Labels, rules: readonly RelabelRule[]): Labels | undefined {
  if (rules.length === 0) return labels;
  const builder = new LabelsBuilder(labels);
  return relabelBuilder(builder, rules) ? builder.labels() : undefined;
}

/** As `relabel`, in place; false if a rule dropped the set, which is then left as it was when it met that rule. */
export function relabelBuilder(builder: LabelsBuilder, rules: readonly RelabelRule[]): boolean {
  for (const rule of rules) if (!applyRule(rule, builder)) return false;
  return true;
}

function applyRule(rule: RelabelRule, builder: LabelsBuilder): boolean {
  const { regex } = rule;
  const target = rule.targetLabel.text;
  switch (rule.action) {
    case 'labelmap':
      forEachLabel(builder, (name, value) => {
        const mapped = regex.matches(name) ? regex.replace(name, rule.replacement) : '';
        if (mapped !== '') builder.set(mapped, value);
      });
      return true;
    case 'labeldrop':
    case 'labelkeep':
      forEachLabel(builder, (name) => {
        if (regex.matches(name) === (rule.action === 'labeldrop')) builder.delete(name);
      });
      return true;
    default:
  }
  let value = '';
  for (let i = 0; i < rule.sourceLabels.length; i++) value += (i > 0 ? rule.separator : '') + builder.get(rule.sourceLabels[i]!);
  switch (rule.action) {
    case 'keep':
      return regex.matches(value);
    case 'drop':
      return !regex.matches(value);
    case 'keepequal':
      return builder.get(target) === value;
    case 'dropequal':
      return builder.get(target) !== value;
    case 'lowercase':
      builder.set(target, mapCase(value, (text) => text.toLowerCase()));
      return true;
    case 'uppercase':
      builder.set(target, mapCase(value, (text) => text.toUpperCase()));
      return true;
    case 'hashmod':
      builder.set(target, hashMod(value, rule.modulus));
      return true;
    default:
      replace(rule, value, builder);
      return true;
  }
}

function replace(rule: RelabelRule, value: string, builder: LabelsBuilder): void {
  const { targetLabel, replacement, regex } = rule;
  if (value === '' && rule.isDefaultRegex && !targetLabel.text.includes('$') && !replacement.text.includes('$')) {
    builder.set(targetLabel.text, replacement.text);
    return;
  }
  const slots = regex.match(value);
  if (slots === undefined) return;
  const target = targetLabel.expand(value, slots);
  if (isValidLabelName(target, rule.scheme)) builder.set(target, replacement.expand(value, slots));
}

/** Visits the labels as they are now; changes made meanwhile are not visited. */
function forEachLabel(builder: LabelsBuilder, visit: (name: string, value: string) => void): void {
  const labels = builder.labels();
  for (let i = 0; i < labels.length; i += 2) visit(labels[i]!, labels[i + 1]!);
}

/** The last 8 bytes of the MD5, big-endian, modulo `modulus`. BigInt is fine: once per target or series, not per sample. */
function hashMod(value: string, modulus: number): string {
  const digest = md5(utf8Encode(value));
  return String(new DataView(digest.buffer, digest.byteOffset + 8, 8).getBigUint64(0) % BigInt(modulus));
}

/** Case mapping one code point to one, as Go does: `ß` has no upper case, a final sigma is no special case. */
function mapCase(text: string, map: (text: string) => string): string {
  let mapped = '';
  for (const character of text) {
    const other = map(character);
    mapped += other.length === String.fromCodePoint(other.codePointAt(0)!).length ? other : character === '\u0130' ? 'i' : character;
  }
  return mapped;
}

const NEEDS_TARGET: ReadonlySet<RelabelAction> = new Set(['replace', 'hashmod', 'lowercase', 'uppercase', 'keepequal', 'dropequal']);
const TARGET_ONLY: ReadonlySet<RelabelAction> = new Set(['lowercase', 'uppercase', 'keepequal', 'dropequal']);
/** Legacy names with `$1`, `${1}`, `$name` in them. */
const LEGACY_TEMPLATE = /^(?:[a-zA-Z_]|\$(?:\{\w+\}|\w))(?:\w|\$(?:\{\w+\}|\w))*$/;

function checkConfig(config: RelabelConfig, action: RelabelAction, scheme: NameScheme): void {
  const target = config.targetLabel ?? '';
  const replacement = config.replacement ?? DEFAULT_REPLACEMENT;
  const modulus = config.modulus ?? 0;
  const isTemplateName = (text: string): boolean => (scheme === 'legacy' ? LEGACY_TEMPLATE.test(text) : isValidLabelName(text));
  if (modulus === 0 && action === 'hashmod') throw refuse('relabel configuration for hashmod requires non-zero modulus');
  if (!Number.isSafeInteger(modulus) || modulus < 0) throw refuse(`relabel configuration for ${action}: modulus ${modulus} is not a whole number in [1, 2^53)`);
  if (NEEDS_TARGET.has(action) && target === '') throw refuse(`relabel configuration for ${action} action requires 'target_label' value`);
  const hasReference = target.includes('$');
  const targetFits =
    action === 'replace' && hasReference ? isTemplateName(target) : NEEDS_TARGET.has(action) ? isValidLabelName(target, scheme) : true;
  if (!targetFits) throw refuse(`${quoteGo(target)} is invalid 'target_label' for ${action} action`);
  if (TARGET_ONLY.has(action) && replacement !== DEFAULT_REPLACEMENT) throw refuse(`'replacement' can not be set for ${action} action`);
  if (action === 'labelmap' && !isTemplateName(replacement)) throw refuse(`${quoteGo(replacement)} is invalid 'replacement' for labelmap action`);
  const separatorSet = (config.separator ?? DEFAULT_SEPARATOR) !== DEFAULT_SEPARATOR;
  if ((action === 'dropequal' || action === 'keepequal') && (config.regex !== undefined || modulus !== 0 || separatorSet)) {
    throw refuse(`${action} action requires only 'source_labels' and \`target_label\`, and no other fields`);
  }
  if ((action === 'labeldrop' || action === 'labelkeep') && (config.sourceLabels !== undefined || target !== '' || modulus !== 0 || separatorSet || replacement !== DEFAULT_REPLACEMENT)) {
    throw refuse(`${action} action requires only 'regex', and no other fields`);
  }
}

function refuse(message: string): ModelError {
  return new ModelError('ERR_RELABEL_CONFIG', message);
}
