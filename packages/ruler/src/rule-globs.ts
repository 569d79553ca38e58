/**
 * Files that a pattern of `--rule-file` stands for, by Go's filepath.Glob: `*` and `?` within a path element, `[a-z]`, `[^a-z]`, `\` before a
 * character that is meant. A plain path stands for itself if it exists.
 */
import { lstatSync, readdirSync } from 'node:fs';
import { RulerError } from './errors.ts';

/** @returns paths as the pattern writes them, sorted per folder; none if nothing is there @throws RulerError ERR_RULE_FILES for a malformed pattern */
export function expandRulePattern(pattern: string): readonly string[] {
  elementRegExp(pattern);
  if (!/[*?[\\]/.test(pattern)) return exists(pattern) ? [pattern] : [];
  const slash = pattern.lastIndexOf('/');
  const folder = slash < 0 ? '' : pattern.slice(0, slash);
  const last = pattern.slice(slash + 1);
  const prefixes = slash < 0 ? [''] : folder === '' ? ['/'] : (/[*?[\\]/.test(folder) ? expandRulePattern(folder) : [folder]).map((path) => `${path}/`);
  const matches = elementRegExp(last);
  return prefixes.flatMap((prefix) => names(prefix).filter((name) => matches.test(name)).map((name) => prefix + name));
}

function names(folder: string): readonly string[] {
  try {
    return readdirSync(folder === '' ? '.' : folder).sort();
  } catch {
    // As in Go: what cannot be listed matches nothing.
    return [];
  }
}

function exists(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
}

/** A path element's pattern as a regular expression. */
function elementRegExp(pattern: string): RegExp {
  const refuse = (): never => {
    throw new RulerError('ERR_RULE_FILES', `--rule-file=${pattern}: syntax error in pattern`);
  };
  const literal = (character: string): string => character.replace(/[\\^$.*+?()[\]{}|/-]/g, '\\$&');
  let source = '';
  for (let i = 0; i < pattern.length; i++) {
    const character = pattern[i]!;
    if (character === '*') source += '[^/]*';
    else if (character === '?') source += '[^/]';
    else if (character === '\\') {
      if (++i >= pattern.length) refuse();
      source += literal(pattern[i]!);
    } else if (character === '[') {
      const [, negated = '', body = ''] = /^\[(\^?)((?:\\.|[^\]\\])+)\]/.exec(pattern.slice(i)) ?? refuse();
      i += 1 + negated.length + body.length;
      const range = [...body.matchAll(/(\\.|[^\\])(?:-(\\.|[^\\]))?/gs)].map(([, low, high]) => {
        const [from, to] = [low!.replace(/^\\(?=.)/s, ''), (high ?? low!).replace(/^\\(?=.)/s, '')];
        if (from > to) refuse();
        return from === to ? literal(from) : `${literal(from)}-${literal(to)}`;
      });
      source += `[${negated}${range.join('')}]`;
    } else source += literal(character);
  }
  return new RegExp(`^${source}$`, 's');
}
