import { describe, expect, test } from '@jest/globals';
import { formatMatcher } from '@gauntlet/model';
import { ApiParams } from './api-params.ts';
import { answerExemplars, parseExemplarsCall } from './exemplars.ts';

async function textOf(answer: ReturnType<typeof answerExemplars>): Promise<string> {
  const pieces: Uint8Array[] = [];
  for await (const piece of answer.body) pieces.push(piece);
  return Buffer.concat(pieces).toString();
}

describe('the request', () => {
  const read = (query: string): ReturnType<typeof parseExemplarsCall> => parseExemplarsCall(new ApiParams(new URLSearchParams(query), undefined), {});

  test('asks for every selector of the query', () => {
    const call = read('query=histogram_quantile(0.9, sum by (le) (rate(a_bucket{job="x"}[5m]))) / on() b offset 5m&start=1.5&end=1970-01-01T00:00:02Z');
    expect(call.selectors.map((matchers) => matchers.map(formatMatcher))).toEqual([['job="x"', '__name__="a_bucket"'], ['__name__="b"']]);
    expect([call.startMs, call.endMs]).toEqual([1500, 2000]);
  });

  test.each([
    ['query=sum(', 'retrieving exemplars: proxy Exemplars: 1:5: parse error: unclosed left parenthesis'],
    ['query=1', 'retrieving exemplars: proxy Exemplars: rpc error: code = InvalidArgument desc = no matchers specified (excluding external labels)'],
    ['query=up&end=x', `Invalid time value for 'end': cannot parse "x" to a valid timestamp`],
  ])('%s is refused', (query, message) => {
    expect(() => read(query)).toThrow(message);
  });
});

describe('the answer', () => {
  const exemplar = (id: string, value: number, timeMs: number) => ({ labels: ['trace_id', id], value, timeMs });

  test('unites replicas: series in label order, exemplars by time, each once', async () => {
    const answer = answerExemplars(
      [
        { labels: ['__name__', 'b', 'replica', 'a'], exemplars: [exemplar('2', 2, 2000), exemplar('1', 0.5, 1000.0)] },
        { labels: ['__name__', 'a', 'replica', 'a'], exemplars: [] },
        { labels: ['__name__', 'b', 'replica', 'b'], exemplars: [exemplar('1', 0.5, 1000), exemplar('1', 0.7, 1000), exemplar('3', Number.POSITIVE_INFINITY, 1500)] },
        { labels: ['__name__', 'a', 'replica', 'b', 'x', 'y'], exemplars: [exemplar('4', Number.NaN, 1_763_712_000_123)] },
      ],
      ['replica'],
    );
    expect(answer).toMatchObject({ status: 200, noStore: false });
    expect(await textOf(answer)).toBe(
      '{"status":"success","data":[{"seriesLabels":{"__name__":"a","x":"y"},"exemplars":[{"labels":{"trace_id":"4"},"timestamp":1763712000.123,"value":"NaN"}]},' +
        '{"seriesLabels":{"__name__":"b"},"exemplars":[{"labels":{"trace_id":"1"},"timestamp":1,"value":"0.5"},{"labels":{"trace_id":"1"},"timestamp":1,"value":"0.7"},' +
        '{"labels":{"trace_id":"3"},"timestamp":1.500,"value":"+Inf"},{"labels":{"trace_id":"2"},"timestamp":2,"value":"2"}]}]}',
    );
  });

  test('without exemplars is empty, with warnings says so', async () => {
    expect(await textOf(answerExemplars([], []))).toBe('{"status":"success","data":[]}');
    expect(await textOf(answerExemplars([], [], ['one is down']))).toBe('{"status":"success","data":[],"warnings":["one is down"]}');
  });
});
