/** Kinds of errors decide what the run loop does. */
import { describe, expect, test } from '@jest/globals';

import { CompactorError, errorKind } from './errors.ts';

const halt = new CompactorError('ERR_SOURCES_OVERLAP', 'halt', 'plan group 0@1: blocks A, B share sources', { group: '0@1', blocks: ['A', 'B'] });
const retry = new CompactorError('ERR_SYNC', 'retry', 'look at bucket b: away');
const other = new CompactorError('ERR_NO_SPACE', 'other', 'compact group 0@1: 5 bytes free, wanted 6');

describe('kind of an error', () => {
  test.each([
    ['halts', halt, 'halt'],
    ['can be retried', retry, 'retry'],
    ['neither', other, 'other'],
    ['of something else', new Error('x'), 'other'],
    ['of several, one of which halts', new AggregateError([retry, halt, other]), 'halt'],
    ['of several that can all be retried', new AggregateError([retry, retry]), 'retry'],
    ['of several, not all of which can be retried', new AggregateError([retry, new Error('x')]), 'other'],
    ['of none', new AggregateError([]), 'other'],
    ['of several within several', new AggregateError([new AggregateError([retry]), retry]), 'retry'],
  ])('%s', (_name, error, kind) => {
    expect(errorKind(error)).toBe(kind);
  });
  test('an error keeps its cause, group and blocks', () => {
    const cause = new Error('why');
    expect(new CompactorError('ERR_SYNC', 'retry', 'm', { cause })).toMatchObject({ cause, blocks: [], group: undefined, message: 'm' });
    expect(halt).toMatchObject({ group: '0@1', blocks: ['A', 'B'], code: 'ERR_SOURCES_OVERLAP' });
    expect('cause' in halt).toBe(false);
  });
});
