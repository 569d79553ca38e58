/** Label matchers, as in `{job="node", instance=~"10\\..*"}`. */
import { quoteGo, isLegacyLabelName } from './labels.ts';
import { compileAnchored } from './regexp/compile-anchored.ts';

export type MatchType = '=' | '!=' | '=~' | '!~';

export interface Matcher {
  readonly type: MatchType;
  readonly name: string;
  readonly value: string;
  /** Whether a label value (`''` = label absent) satisfies the matcher. */
  matches(value: string): boolean;
  /** The only values a `=~` can match, when its pattern is a finite set of literals. */
  readonly setMatches?: readonly string[];
  /** Text that every match of a `=~` begins with, when there is one. */
  readonly prefix?: string;
}

/**
 * A matcher; a regular expression matches the whole value.
 * @throws ModelError ERR_MATCHER_REGEX with Go's text when the pattern is none
 */
export function createMatcher(type: MatchType, name: string, value: string): Matcher {
  switch (type) {
    case '=':
      return { type, name, value, matches: (text) => text === value };
    case '!=':
      return { type, name, value, matches: (text) => text !== value };
    default: {
      const pattern = compileAnchored(value);
      return {
        type,
        name,
        value,
        matches: type === '=~' ? (text) => pattern.matches(text) : (text) => !pattern.matches(text),
        ...(pattern.setMatches === undefined ? {} : { setMatches: pattern.setMatches }),
        ...(pattern.prefix === undefined ? {} : { prefix: pattern.prefix }),
      };
    }
  }
}

/** `name="value"`, as Prometheus prints a matcher. */
export function formatMatcher(matcher: Matcher): string {
  return `${isLegacyLabelName(matcher.name) ? matcher.name : quoteGo(matcher.name)}${matcher.type}${quoteGo(matcher.value)}`;
}
