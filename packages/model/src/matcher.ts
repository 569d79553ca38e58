/**
 * Label matchers, as in `{job="node", instance=~"10\\..*"}`. An absent label has the value ''.
 * Source: Prometheus model/labels/matcher.go.
 */
import { ModelError } from './errors.ts';
import { quoteGo } from './go-quote.ts';
import { quoteNameIfNeeded } from './labels.ts';
import { compileAnchored } from './regexp/compile-regexp.ts';

/** How a matcher compares. */
export type MatchType = '=' | '!=' | '=~' | '!~';

/** One condition on one label. */
export interface Matcher {
  readonly type: MatchType;
  readonly name: string;
  readonly value: string;
  /** For `=~` and `!~`: the strings the pattern matches, each once, if they can be listed. For `!~` these are the ones refused. */
  readonly setMatches?: readonly string[] | undefined;
  /** For `=~` and `!~`: what every string that the pattern matches begins with, '' if nothing is known. */
  readonly prefix?: string;
  /** Whether a label value (`''` = label absent) satisfies the matcher. */
  matches(value: string): boolean;
}

/**
 * Makes a matcher.
 * @throws ModelError ERR_MATCHER_REGEX with Go's text if a pattern does not parse
 */
export function createMatcher(type: MatchType, name: string, value: string): Matcher {
  if (type === '=') return { type, name, value, matches: (other) => other === value };
  if (type === '!=') return { type, name, value, matches: (other) => other !== value };
  const { setMatches, prefix, matches } = compilePattern(value);
  return { type, name, value, setMatches, prefix, matches: type === '=~' ? matches : (other) => !matches(other) };
}

function compilePattern(pattern: string): ReturnType<typeof compileAnchored> {
  try {
    return compileAnchored(pattern);
  } catch (error) {
    if (error instanceof ModelError) throw new ModelError('ERR_MATCHER_REGEX', error.message);
    throw error;
  }
}

/** `name="value"`, quoted as Go does; the name too where it is not a legacy label name. */
export function formatMatcher(matcher: Pick<Matcher, 'type' | 'name' | 'value'>): string {
  return `${quoteNameIfNeeded(matcher.name)}${matcher.type}${quoteGo(matcher.value)}`;
}

/** Whether all matchers accept the value that `valueOf` gives for their label. */
export function matchesAll(matchers: readonly Matcher[], valueOf: (name: string) => string): boolean {
  for (const matcher of matchers) if (!matcher.matches(valueOf(matcher.name))) return false;
  return true;
}
