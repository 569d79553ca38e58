/** Matchers of requests: from messages to compiled ones, and split against the external labels of a store. */
import { createMatcher, getLabel, type Labels, type Matcher, type MatchType } from '@gauntlet/model';
import { type LabelMatcher, MATCHER_TYPE } from '@gauntlet/proto';
import { StoreError } from './errors.ts';

const TYPES: readonly MatchType[] = ['=', '!=', '=~', '!~'];

/**
 * Compiles the matchers of a request.
 * @throws StoreError ERR_STORE_INVALID_ARGUMENT for a type or regular expression that does not exist
 */
export function compileMatchers(matchers: readonly LabelMatcher[]): Matcher[] {
  return matchers.map((matcher) => {
    const type = TYPES[matcher.type];
    if (type === undefined) throw new StoreError('ERR_STORE_INVALID_ARGUMENT', `unsupported label matcher type ${matcher.type}`);
    try {
      return createMatcher(type, matcher.name, matcher.value);
    } catch (error) {
      throw new StoreError('ERR_STORE_INVALID_ARGUMENT', error instanceof Error ? error.message : String(error), { cause: error });
    }
  });
}

/** The message form of a matcher. */
export function matcherToMessage(matcher: Matcher): LabelMatcher {
  return { type: MATCHER_TYPE[matcher.type], name: matcher.name, value: matcher.value };
}

/**
 * Splits matchers against external labels: one on an external label that does not match rules the store out, one that does is
 * decided and dropped; the others stay for the series.
 * @returns the matchers that stay, or `undefined` if the store has nothing to say
 */
export function splitExternalMatchers(matchers: readonly Matcher[], externalLabels: Labels): Matcher[] | undefined {
  const rest: Matcher[] = [];
  for (const matcher of matchers) {
    const value = getLabel(externalLabels, matcher.name);
    if (value === '') rest.push(matcher);
    else if (!matcher.matches(value)) return undefined;
  }
  return rest;
}
