/**
 * Matchers → postings.
 *
 *   1 a label *must be set* when some matcher on it rejects ''
 *   2 matchers that only take away (`!=`, `!~` accepting '', or anything on a label that need not be set) are subtracted last;
 *     when all are such, they are subtracted from all series
 *   3 `a|b|c` and `=` look up values directly; other expressions try every value of the label
 *
 * A matcher that accepts '' selects series without the label too, so it is evaluated by what it rejects.
 * Source: Prometheus tsdb/querier.go, PostingsForMatchers.
 */
import type { Kernels } from '@gauntlet/kernels';
import type { Matcher } from '@gauntlet/model';
import type { LabelIndex } from '../index-file/index-reader.ts';
import { EMPTY_POSTINGS, intersectPostings, type Postings, unionPostings, withoutPostings } from '../index-file/postings.ts';

/** Values that a matcher's expression lists, when it is nothing but a list. */
function listedValues(matcher: Matcher): readonly string[] | undefined {
  if (matcher.type === '=' || matcher.type === '!=') return [matcher.value];
  return matcher.setMatches !== undefined && matcher.setMatches.length > 0 ? matcher.setMatches : undefined;
}

/** Series whose value of the label satisfies the matcher's expression, `isNegative` aside; absent labels never do. */
function postingsOfExpression(index: LabelIndex, matcher: Matcher): Postings {
  const isNegative = matcher.type === '!=' || matcher.type === '!~';
  const listed = listedValues(matcher);
  if (listed !== undefined) return unionPostings(listed.filter((value) => value !== '').map((value) => index.postings(matcher.name, value)));
  return index.postingsWhere(matcher.name, (value) => matcher.matches(value) !== isNegative, matcher.prefix);
}

/** Series that have the label with a value the matcher rejects. */
function postingsRejected(index: LabelIndex, matcher: Matcher): Postings {
  if (matcher.type === '!=' || matcher.type === '!~') return postingsOfExpression(index, matcher);
  if (matcher.value === '') return index.postingsOfName(matcher.name);
  return index.postingsWhere(matcher.name, (value) => !matcher.matches(value));
}

/** Series that have the label with a value the matcher accepts. */
function postingsAccepted(index: LabelIndex, matcher: Matcher): Postings {
  if (matcher.type === '=' || matcher.type === '=~') return postingsOfExpression(index, matcher);
  if (matcher.value === '') return index.postingsOfName(matcher.name);
  return index.postingsWhere(matcher.name, (value) => matcher.matches(value));
}

/** References of the series that satisfy all matchers; every series when there is none. @param kernels make it faster */
export function matchPostings(index: LabelIndex, matchers: readonly Matcher[], kernels?: Kernels): Postings {
  const mustBeSet = new Set(matchers.filter((matcher) => !matcher.matches('')).map((matcher) => matcher.name));
  const required: Postings[] = [];
  const subtracted: Postings[] = [];
  let needsAll = true;
  for (const matcher of matchers) {
    if (matcher.type === '=~' && matcher.value === '.*') continue;
    if (matcher.type === '!~' && matcher.value === '.*') return EMPTY_POSTINGS;
    const acceptsEmpty = matcher.matches('');
    if (acceptsEmpty) {
      // Worth evaluating the small side: on a label that is set anyway, `=~` accepting '' may as well be required.
      if (mustBeSet.has(matcher.name) && (matcher.type === '=' || matcher.type === '=~') && matcher.value !== '') {
        required.push(postingsAccepted(index, matcher));
        needsAll = false;
      } else subtracted.push(postingsRejected(index, matcher));
      continue;
    }
    needsAll = false;
    const list = matcher.type === '=~' && matcher.value === '.+' ? index.postingsOfName(matcher.name) : postingsAccepted(index, matcher);
    if (list.length === 0) return EMPTY_POSTINGS;
    required.push(list);
  }
  if (needsAll) required.push(index.allPostings());
  let result = intersectPostings(required, kernels);
  for (const list of subtracted) result = withoutPostings(result, list, kernels);
  return result;
}
