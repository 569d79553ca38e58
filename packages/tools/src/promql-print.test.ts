/** Answers as text. Texts of floats and scalars were printed by promtool 2.42; it knows no histograms and refuses strings. */
import type { QueryDataJson } from '@gauntlet/http-api';
import { expect, test } from '@jest/globals';
import { type AnswerFormat, decimalText, printAnswer } from './promql-print.ts';

const print = (format: AnswerFormat, ...pieces: QueryDataJson[]): string => {
  let text = '';
  printAnswer(pieces, format, (part) => (text += part));
  return text;
};

const VECTOR: QueryDataJson = {
  resultType: 'vector',
  result: [
    { metric: { __name__: 'up', job: 'a"b', z: 'é\n' }, value: [1700000000.123, '1e-07'] },
    { metric: {}, value: [1700000000, '123456789012345680000000'] },
    { metric: { a: 'b' }, value: [1700000000, '+Inf'] },
    { metric: { __name__: 'x', 'my.label': '<&>' }, value: [1700000000, 'NaN'] },
    { metric: { __name__: 'my.metric' }, value: [1700000000, '1'] },
  ],
};
const MATRIX: QueryDataJson = {
  resultType: 'matrix',
  result: [
    { metric: { job: 'a' }, values: [[1700000000, '-0']] },
    { metric: { job: 'b' }, values: [[1700000000, '1'], [1700000015.5, '2.5']] },
  ],
};
const SCALAR: QueryDataJson = { resultType: 'scalar', result: [1700000000.5, '1.5e+30'] };
const STRING: QueryDataJson = { resultType: 'string', result: [1700000000.5, 'a "b" <x>'] };
const HISTOGRAM = { count: '7', sum: '1.25', buckets: [[1, '-0.5', '-0.25', '2'], [3, '-0.001', '0.001', '1'], [0, '0.25', '1e+06', '4']] } as const;

test.each<{ name: string; format: AnswerFormat; data: QueryDataJson; text: string }>([
  {
    name: 'vector',
    format: 'promql',
    data: VECTOR,
    text: 'up{job="a\\"b", z="é\\n"} => 0.0000001 @[1700000000.123]\n{} => 123456789012345690000000 @[1700000000]\n{a="b"} => +Inf @[1700000000]\nx{my.label="<&>"} => NaN @[1700000000]\nmy.metric => 1 @[1700000000]\n',
  },
  {
    name: 'vector',
    format: 'json',
    data: VECTOR,
    text: '[{"metric":{"__name__":"up","job":"a\\"b","z":"é\\n"},"value":[1700000000.123,"0.0000001"]},{"metric":{},"value":[1700000000,"123456789012345690000000"]},{"metric":{"a":"b"},"value":[1700000000,"+Inf"]},{"metric":{"__name__":"x","my.label":"\\u003c\\u0026\\u003e"},"value":[1700000000,"NaN"]},{"metric":{"__name__":"my.metric"},"value":[1700000000,"1"]}]\n',
  },
  { name: 'matrix', format: 'promql', data: MATRIX, text: '{job="a"} =>\n-0 @[1700000000]\n{job="b"} =>\n1 @[1700000000]\n2.5 @[1700000015.5]\n' },
  { name: 'matrix', format: 'json', data: MATRIX, text: '[{"metric":{"job":"a"},"values":[[1700000000,"-0"]]},{"metric":{"job":"b"},"values":[[1700000000,"1"],[1700000015.5,"2.5"]]}]\n' },
  { name: 'scalar', format: 'promql', data: SCALAR, text: 'scalar: 1500000000000000000000000000000 @[1700000000.5]\n' },
  { name: 'scalar', format: 'json', data: SCALAR, text: '[1700000000.5,"1500000000000000000000000000000"]\n' },
  { name: 'string', format: 'promql', data: STRING, text: 'a "b" <x>\n' },
  { name: 'string', format: 'json', data: STRING, text: '[1700000000.5,"a \\"b\\" \\u003cx\\u003e"]\n' },
  { name: 'nothing', format: 'promql', data: { resultType: 'vector', result: [] }, text: '\n' },
  { name: 'nothing', format: 'json', data: { resultType: 'matrix', result: [] }, text: '[]\n' },
  {
    name: 'histogram',
    format: 'promql',
    data: { resultType: 'vector', result: [{ metric: { __name__: 'h' }, histogram: [1700000000, HISTOGRAM] }] },
    text: 'h => Count: 7.000000, Sum: 1.250000, Buckets: [[-0.5,-0.25):2 [-0.001,0.001]:1 (0.25,1e+06]:4] @[1700000000]\n',
  },
  {
    name: 'floats and histograms',
    format: 'json',
    data: { resultType: 'matrix', result: [{ metric: { a: 'b' }, values: [[1, '3']], histograms: [[2, HISTOGRAM]] }] },
    text: '[{"metric":{"a":"b"},"values":[[1,"3"]],"histograms":[[2,{"count":"7","sum":"1.25","buckets":[[1,"-0.5","-0.25","2"],[3,"-0.001","0.001","1"],[0,"0.25","1000000","4"]]}]]}]\n',
  },
])('$name as $format', ({ format, data, text }) => expect(print(format, data)).toBe(text));

test('pieces of an answer are one answer', () => {
  const pieces = (MATRIX.resultType === 'matrix' ? MATRIX.result : []).map((series): QueryDataJson => ({ resultType: 'matrix', result: [series] }));
  for (const format of ['promql', 'json'] as const) expect(print(format, ...pieces)).toBe(print(format, MATRIX));
});

test.each([['1e+21', '1000000000000000000000'], ['-1.25e-7', '-0.000000125'], ['5e-324', `0.${'0'.repeat(323)}5`], ['-Inf', '-Inf'], ['0', '0']])('%s is written %s', (text, decimal) => {
  expect(decimalText(text)).toBe(decimal);
});
