/**
 * Vector selectors: `name`, `name{label="value"}`, `{__name__=~"a.*"}`, `{"utf8.name", "label with space"!="x"}`; and lists of label names.
 * Source: Prometheus promql/parser/generated_parser.y, `vector_selector` and `grouping_labels`.
 */
import { createMatcher, type Matcher, type MatchType, ModelError } from '@gauntlet/model';
import type { VectorSelector } from './ast.ts';
import { quoteString, unquoteLiteral } from './quote.ts';
import { isGroupingLabel, isMetricName, type Token } from './token.ts';
import type { ErrorContext, TokenStream } from './token-stream.ts';

const NAME_LABEL = '__name__';

const LABEL_MATCHING = 'label matching';
const EXPECT_LABEL: ErrorContext = { where: LABEL_MATCHING, expected: 'identifier or "}"' };
const EXPECT_OPERATOR: ErrorContext = { where: LABEL_MATCHING, expected: 'label matching operator' };
const EXPECT_VALUE: ErrorContext = { where: LABEL_MATCHING, expected: 'string' };
const EXPECT_NEXT_MATCHER: ErrorContext = { where: LABEL_MATCHING, expected: '"," or "}"' };

const GROUPING = 'grouping opts';
/** Blame for a missing list of labels after `by`, `on`, `group_left` and the like. */
export const EXPECT_LABEL_LIST: ErrorContext = { where: GROUPING, expected: '"("' };
const EXPECT_GROUPING_LABEL: ErrorContext = { where: GROUPING, expected: 'label' };
const EXPECT_NEXT_LABEL: ErrorContext = { where: GROUPING, expected: '"," or ")"' };

/** The selector at the cursor; a metric name token, if there is one, has been consumed and is given. */
export function parseVectorSelector(stream: TokenStream, name: Token | undefined): VectorSelector {
  const start = name?.start ?? stream.peek().start;
  const matchers = stream.peek().kind === '{' ? parseMatchers(stream) : [];
  if (name !== undefined) matchers.push(createMatcher('=', NAME_LABEL, name.text));
  return {
    type: 'vectorSelector',
    name: name?.text ?? '',
    matchers,
    originalOffsetMs: 0,
    offsetExpr: undefined,
    offsetMs: 0,
    timestampMs: undefined,
    startOrEnd: undefined,
    anchored: false,
    smoothed: false,
    bypassEmptyMatcherCheck: false,
    pos: { start, end: stream.lastEnd },
  };
}

/** A whole text that is a selector. */
export function parseSelectorOnly(stream: TokenStream): VectorSelector {
  const token = stream.peek();
  if (token.kind !== '{' && !isMetricName(token.kind)) stream.unexpected();
  const selector = parseVectorSelector(stream, token.kind === '{' ? undefined : stream.take());
  stream.expect('eof');
  return selector;
}

/** `{…}` with any number of matchers and an optional trailing comma. */
function parseMatchers(stream: TokenStream): Matcher[] {
  stream.expect('{');
  const matchers: Matcher[] = [];
  while (stream.accept('}') === undefined) {
    if (matchers.length > 0) {
      if (stream.accept(',') === undefined) stream.unexpected(EXPECT_NEXT_MATCHER);
      if (stream.accept('}') !== undefined) break;
    }
    matchers.push(parseMatcher(stream));
  }
  return matchers;
}

function parseMatcher(stream: TokenStream): Matcher {
  const label = stream.accept('identifier') ?? stream.accept('string') ?? stream.unexpected(EXPECT_LABEL);
  const name = label.kind === 'string' ? unquoteLiteral(label.text) : label.text;
  const { kind } = stream.peek();
  if (kind !== '=' && kind !== '!=' && kind !== '=~' && kind !== '!~') {
    if (label.kind === 'string') return createMatcher('=', NAME_LABEL, name);
    stream.unexpected(EXPECT_OPERATOR);
  }
  stream.take();
  const value = stream.expect('string', EXPECT_VALUE);
  try {
    return createMatcher(kind as MatchType, name, unquoteLiteral(value.text));
  } catch (error) {
    if (error instanceof ModelError) throw stream.error({ start: label.start, end: value.end }, error.message);
    throw error;
  }
}

/** `(label, "utf-8 label", …)` of `by`, `without`, `on`, `ignoring`, `group_left`, `group_right`; a trailing comma is allowed. */
export function parseLabelList(stream: TokenStream): string[] {
  stream.expect('(', EXPECT_LABEL_LIST);
  const labels: string[] = [];
  while (stream.accept(')') === undefined) {
    if (labels.length > 0) {
      if (stream.accept(',') === undefined) stream.unexpected(EXPECT_NEXT_LABEL);
      if (stream.accept(')') !== undefined) break;
    }
    const token = stream.peek();
    if (token.kind !== 'string' && !isGroupingLabel(token.kind)) stream.unexpected(EXPECT_GROUPING_LABEL);
    stream.take();
    const label = token.kind === 'string' ? unquoteLiteral(token.text) : token.text;
    if (label === '') throw stream.error(token, `invalid label name for grouping: ${quoteString(label)}`);
    labels.push(label);
  }
  return labels;
}
