/**
 * Rule files as a whole: patterns → files → groups. A file with a problem does not touch the others, and its own groups stay those of its
 * last good version.
 *
 *   patterns ─► files ─┬─ good ─────────► its groups, remembered
 *                      ├─ with problems ► the groups it had when it was good
 *                      └─ gone ─────────► none
 */
import { readFileSync, statSync } from 'node:fs';
import type { ParserOptions } from '@gauntlet/promql';
import { errorText, systemErrorCode } from '@gauntlet/service-kit';
import { formatRuleFileProblem, parseRuleFile } from './rule-files.ts';
import { expandRulePattern } from './rule-globs.ts';
import type { RuleGroupConfig } from './types.ts';

/** What a load found. */
export interface RuleLoad {
  /** Groups of all files: as they are, or as they were last good. */
  readonly groups: readonly RuleGroupConfig[];
  readonly files: readonly string[];
  /** One line each, with its place; empty if all is good. */
  readonly problems: readonly string[];
  /** Allowed, and probably not meant. */
  readonly warnings: readonly string[];
  /** Files that have problems and go on with their last good groups. */
  readonly kept: readonly string[];
}

/** See the head of this file. */
export interface RuleLoader {
  load(): RuleLoad;
}

/** Makes a loader that has read nothing yet. */
export function createRuleLoader(patterns: readonly string[], options: ParserOptions = {}): RuleLoader {
  let good = new Map<string, readonly RuleGroupConfig[]>();
  return {
    load() {
      const problems: string[] = [];
      const warnings: string[] = [];
      const kept: string[] = [];
      const files = new Set<string>();
      for (const pattern of patterns) {
        try {
          const found = expandRulePattern(pattern);
          if (found.length === 0) warnings.push(`--rule-file=${pattern}: no such file`);
          for (const file of found) files.add(file);
        } catch (error) {
          problems.push(errorText(error));
        }
      }
      const next = new Map<string, readonly RuleGroupConfig[]>();
      for (const file of files) {
        const read = readRuleFile(file, options);
        problems.push(...read.problems);
        warnings.push(...read.warnings);
        if (read.groups !== undefined) next.set(file, read.groups);
        else if (good.has(file)) {
          kept.push(file);
          next.set(file, good.get(file)!);
        }
      }
      good = next;
      return { groups: [...next.values()].flat(), files: [...files], problems, warnings, kept };
    },
  };
}

function readRuleFile(file: string, options: ParserOptions): { readonly groups: readonly RuleGroupConfig[] | undefined; readonly problems: readonly string[]; readonly warnings: readonly string[] } {
  let text: string;
  try {
    if (statSync(file).isDirectory()) return { groups: undefined, problems: [`${file}: it is a folder, wanted files: ${file.replace(/\/+$/, '')}/*.yaml`], warnings: [] };
    text = readFileSync(file, 'utf8');
  } catch (error) {
    return { groups: undefined, problems: [`${file}: read rule file: ${systemErrorCode(error) ?? errorText(error)}`], warnings: [] };
  }
  const { groups, problems, warnings } = parseRuleFile(text, file, options);
  return { groups: problems.length > 0 ? undefined : groups, problems: problems.map(formatRuleFileProblem), warnings: warnings.map(formatRuleFileProblem) };
}
