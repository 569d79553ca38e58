/**
 * Rule files: text → groups, or every problem with its place.
 *
 *   text ── YAML ──► nodes ── rule-file-schema ──► groups
 *                       └ anything wrong ──► file:line:column: group "g", rule "r": message
 *
 * Strict as Prometheus is: unknown keys are problems. A file with a problem gives no groups at all.
 */
import type { ParserOptions } from '@gauntlet/promql';
import { ConfigError, decodeYaml } from '@gauntlet/service-kit';
import { type RuleFileNotes, ruleFileSchema } from './rule-file-schema.ts';
import { lineAndColumn } from './text-position.ts';
import type { RuleGroupConfig } from './types.ts';

/** One problem of a rule file. Lines and columns count from 1, columns in UTF-16 units. */
export interface RuleFileProblem {
  readonly file: string;
  readonly line: number;
  readonly column: number;
  /** Name of the group it is in, if that is known. */
  readonly group?: string;
  /** Name of the alert or recorded metric it is in, if that is known. */
  readonly rule?: string;
  readonly message: string;
}

/** A rule file that was read. */
export interface RuleFile {
  /** None if there is any problem. */
  readonly groups: readonly RuleGroupConfig[];
  /** All problems, in file order. */
  readonly problems: readonly RuleFileProblem[];
  /** What is allowed and probably not meant: rules of one group with the same name and labels. */
  readonly warnings: readonly RuleFileProblem[];
}

/**
 * Reads a rule file.
 * @param file its path: for messages, and as part of the groups' identity
 * @param options features of PromQL the queriers have switched on
 */
export function parseRuleFile(text: string, file: string, options: ParserOptions = {}): RuleFile {
  const notes: RuleFileNotes = { names: new Map(), checkedLabels: new Set(), warnings: [] };
  const problemAt = (at: { readonly line: number; readonly column: number }, path: string, message: string): RuleFileProblem => {
    const [groupPath, rulePath] = pathsOf(path);
    const group = notes.names.get(groupPath);
    const rule = notes.names.get(rulePath);
    return { file, line: at.line, column: at.column, ...(group === undefined ? {} : { group }), ...(rule === undefined ? {} : { rule }), message };
  };
  try {
    const { groups } = decodeYaml(text, ruleFileSchema(text, file, options, notes), file);
    return { groups, problems: [], warnings: notes.warnings.map(({ offset, path, message }) => problemAt(lineAndColumn(text, offset), path, message)) };
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    const problems = error.issues.map((issue) => problemAt(issue, issue.path, issue.message));
    return { groups: [], problems: problems.sort((a, b) => a.line - b.line || a.column - b.column), warnings: [] };
  }
}

/** What a check of a rule file finds. */
export interface RuleFileCheck {
  /** Rules in the file; 0 if there is any problem. */
  readonly rules: number;
  readonly problems: readonly RuleFileProblem[];
  readonly warnings: readonly RuleFileProblem[];
}

/** Checks a rule file without using it, for `tools rules-check`. */
export function checkRuleFile(text: string, file: string, options: ParserOptions = {}): RuleFileCheck {
  const { groups, problems, warnings } = parseRuleFile(text, file, options);
  return { rules: groups.reduce((count, group) => count + group.rules.length, 0), problems, warnings };
}

/** A problem as one line: `rules.yml:7:11: group "g", rule "r": message`. */
export function formatRuleFileProblem(problem: RuleFileProblem): string {
  const where = [problem.group === undefined ? '' : `group ${JSON.stringify(problem.group)}`, problem.rule === undefined ? '' : `rule ${JSON.stringify(problem.rule)}`].filter((part) => part !== '');
  return `${problem.file}:${problem.line}:${problem.column}: ${where.join(', ')}${where.length > 0 ? ': ' : ''}${problem.message}`;
}

/** Paths of group and rule that a path lies in: `groups[0].rules[2].labels.x` → `groups[0]`, `groups[0].rules[2]`. */
function pathsOf(path: string): [group: string, rule: string] {
  const found = /^(groups\[\d+\])(\.rules\[\d+\])?/.exec(path);
  return [found?.[1] ?? '', found?.[2] === undefined ? '' : found[0]];
}
