/** Label matchers, as in `{job="node", instance=~"10\\..*"}`. */

export type MatchType = '=' | '!=' | '=~' | '!~';

export interface Matcher {
  readonly type: MatchType;
  readonly name: string;
  readonly value: string;
  /** Whether a label value (`''` = label absent) satisfies the matcher. */
  matches(value: string): boolean;
}
