/** Alert templates: what they give, and what is refused when they are read. */
import { describe, expect, test } from '@jest/globals';
import { labelsFromMap } from '@gauntlet/model';
import fc from 'fast-check';
import { expandTemplate, type TemplateData } from './expand-template.ts';
import { formatDigits, formatExponent, formatShortest } from './format-number.ts';
import { parseTemplate } from './parse-template.ts';
import { UNSUPPORTED_ACTIONS, UNSUPPORTED_FUNCTIONS } from './template-functions.ts';

const DATA: TemplateData = {
  labels: labelsFromMap({ __name__: 'up', job: 'api', 'a.b': 'dotted', n: '1234567', constructor: 'c' }),
  externalLabels: labelsFromMap({ region: 'eu', rule_replica: '0' }),
  externalUrl: 'http://thanos.example.org/q',
  value: 0.5,
};

const expand = (text: string, value = DATA.value): string => {
  const { template, problems } = parseTemplate(text);
  expect(problems).toEqual([]);
  return expandTemplate(template, { ...DATA, value });
};

test.each([
  ['', ''],
  ['plain } text }} with a single { brace', 'plain } text }} with a single { brace'],
  ['{{ $value }}', '0.5'],
  ['{{$value}}{{ .Value }}{{ $.Value }}', '0.50.50.5'],
  ['{{ $labels.job }}/{{ .Labels.job }}/{{ $.Labels.job }}', 'api/api/api'],
  ['[{{ $labels.missing }}][{{ $labels.toString }}][{{ $labels.constructor }}]', '[][][c]'],
  ['{{ $labels }}', 'map[__name__:up a.b:dotted constructor:c job:api n:1234567]'],
  ['{{ index $labels "a.b" }}{{ index .Labels `job` }}{{ index $labels "none" }}', 'dottedapi'],
  ['{{ "job" | index $labels }}', 'api'],
  ['{{ $externalLabels.region }} {{ .ExternalLabels.rule_replica }} {{ $externalLabels }}', 'eu 0 map[region:eu rule_replica:0]'],
  ['{{ $externalURL }} {{ .ExternalURL }}', 'http://thanos.example.org/q http://thanos.example.org/q'],
  ['{{ "a\\n\\u00e9\\x41\\101\\"" }}', 'a\néAA"'],
  ['{{ `raw \\n` }}', 'raw \\n'],
  ['{{ "}}" }}', '}}'],
  ['a \n{{- $value -}} \t b', 'a0.5b'],
  ['a {{ $value -}}\n\n{{- $value }} b', 'a 0.50.5 b'],
  ['a {{/* no {{ $value }} here */}}', 'a '.concat('')],
  ['a {{- /* comment */ -}} b', 'ab'],
  ['{{\n$labels.job\n}}', 'api'],
  ['{{ $value | humanizePercentage }} {{ humanize $labels.n }} {{ $labels.n | humanize1024 }} {{ humanizeDuration $value }}', '50% 1.235M 1.177Mi 500ms'],
])('%j', (text, wanted) => {
  expect(expand(text)).toBe(wanted);
});

describe('refused', () => {
  test.each([
    ['{{ $value', 0, "template action is not closed: '}}' is missing"],
    ['x {{ }}', 2, 'template action is empty'],
    ['{{ "a }}', 3, 'template text is not closed: \'"\' is missing'],
    ['{{ `a }}', 3, "template text is not closed: '`' is missing"],
    ['{{/* a }}', 0, "template comment is not closed: '*/}}' is missing"],
    ['{{ "\\q" }}', 3, 'template text "\\q" has an escape that is not Go\'s'],
    ['{{ "\\xff" }}', 3, 'template text "\\xff" has an escape that is not Go\'s'],
    ['{{ $valeu }}', 3, "template variable '$valeu' is not defined, did you mean '$value'?"],
    ['{{ $x }}', 3, "template variable '$x' is not defined (known: $labels, $externalLabels, $externalURL, $value)"],
    ['{{ .Lables.job }}', 3, "template field '.Lables' is not known, did you mean '.Labels'?"],
    ['{{ . }}', 3, "template value '.' is not supported yet; name a field, such as .Labels.job"],
    ['{{ $ }}', 3, "template value '$' is not supported yet; name a field, such as .Labels.job"],
    ['{{ $labels.a.b }}', 3, "template value '$labels.a.b': a label has no fields"],
    ['{{ $value.x }}', 3, "template value '$value.x': a number has no fields"],
    ['{{ $externalURL.x }}', 3, "template value '$externalURL.x': a text has no fields"],
    ['{{ humanise $value }}', 3, "template function 'humanise' is not known, did you mean 'humanize'?"],
    ['{{ $value | foobarbaz }}', 12, "template function 'foobarbaz' is not known"],
    ['{{ $value | $labels.x }}', 12, "template pipeline: wanted a function after '|', got '$labels.x'"],
    ['{{ $value | | humanize }}', 12, 'template pipeline has an empty command'],
    ['{{ $value | }}', 10, 'template pipeline has an empty command'],
    ['{{ $value "x" }}', 10, 'template action: \'$value\' is no function, it cannot take "x"'],
    ['{{ humanize humanize }}', 12, "function 'humanize' as an argument in templates is not supported yet"],
    ['{{ $x := 1 }}', 6, 'setting variables in templates is not supported yet'],
    ['{{ humanize (index $labels "n") }}', 12, 'parentheses in templates are not supported yet'],
    ['{{ humanize 12.5 }}', 12, "numbers in templates are not supported yet, got '12.5'"],
    ['{{ true }}', 3, "template constant 'true' is not supported yet"],
    ['{{ % }}', 3, "template action has an unexpected '%'"],
    ['{{ 😀 }}', 3, "template action has an unexpected '😀'"],
  ])('%s', (text, offset, message) => {
    expect(parseTemplate(text).problems).toEqual([expect.objectContaining({ offset, message })]);
  });

  test('everything of Prometheus that is not here, by name', () => {
    for (const name of UNSUPPORTED_FUNCTIONS) expect(parseTemplate(`{{ ${name} 1 "x" }}`).problems).toEqual([{ offset: 3, message: `template function '${name}' is not supported yet` }]);
    for (const name of UNSUPPORTED_ACTIONS) expect(parseTemplate(`a{{ ${name} $value }}`).problems).toEqual([{ offset: 4, message: `template action '${name}' is not supported yet` }]);
  });

  test('each action has its own problem', () => {
    expect(parseTemplate('{{ now }} {{ $value }} {{ if $value }}').problems.map(({ offset }) => offset)).toEqual([3, 26]);
  });
});

test.each([
  ['{{ index $labels }}', 'evaluate {{ index $labels }}: call index: wanted a map of labels and a name, got a map of labels'],
  ['{{ index $value "x" }}', 'evaluate {{ index $value "x" }}: call index: wanted a map of labels and a name, got a number and "x"'],
  ['{{ humanize "x" }}', 'evaluate {{ humanize "x" }}: call humanize: wanted a number, got "x"'],
  ['{{ humanize }}', 'evaluate {{ humanize }}: call humanize: wanted one number, got nothing'],
  ['{{ humanizeDuration $labels }}', 'evaluate {{ humanizeDuration $labels }}: call humanizeDuration: wanted one number, got a map of labels'],
])('%s fails when it is filled in', (text, message) => {
  const { template, problems } = parseTemplate(text);
  expect(problems).toEqual([]);
  expect(() => expandTemplate(template, DATA)).toThrow(expect.objectContaining({ code: 'ERR_TEMPLATE', message }));
});

test('text without braces is its own template', () => {
  fc.assert(fc.property(fc.string({ unit: 'binary' }).filter((text) => !text.includes('{{')), (text) => expand(text) === text));
});

test('no text makes the reader throw, hang or give a place outside of it', () => {
  const piece = fc.oneof(fc.string(), fc.constantFrom('{{', '}}', '{{-', '-}}', ' -}}', '/*', '*/', '"', '`', '\\', '|', '$labels', '.Labels.', 'index ', 'humanize', ' '));
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
      const text = pieces.join('');
      for (const { offset } of parseTemplate(text).problems) expect(offset >= 0 && offset < text.length).toBe(true);
    }),
    { numRuns: 500 },
  );
});

test.each([
  [0, '0', '0e+00'],
  [-0, '-0', '-0e+00'],
  [1, '1', '1e+00'],
  [125, '125', '1.25e+02'],
  [123456, '123456', '1.23456e+05'],
  [1e6, '1e+06', '1e+06'],
  [1234567.891, '1.234567891e+06', '1.234567891e+06'],
  [1e21, '1e+21', '1e+21'],
  [0.0001, '0.0001', '1e-04'],
  [0.00001234, '1.234e-05', '1.234e-05'],
  [-0.5, '-0.5', '-5e-01'],
  [1e100, '1e+100', '1e+100'],
  [5e-324, '5e-324', '5e-324'],
  [NaN, 'NaN', 'NaN'],
  [Infinity, '+Inf', '+Inf'],
  [-Infinity, '-Inf', '-Inf'],
])('%d as Go prints it', (value, shortest, exponent) => {
  expect([formatShortest(value), formatExponent(value)]).toEqual([shortest, exponent]);
});

test('shortest texts read back as the same number', () => {
  fc.assert(fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (value) => Object.is(Number(formatShortest(value)), value) && Object.is(Number(formatExponent(value)), value)));
});

test.each([
  [123456, '1.235e+05'],
  [1000.5, '1000'],
  [1001.5, '1002'],
  [-1000.5, '-1000'],
  [9999.5, '1e+04'],
  [0.00001234, '1.234e-05'],
  [0.3333333333333333, '0.3333'],
  [3, '3'],
  [0, '0'],
  [1e21, '1e+21'],
  [NaN, 'NaN'],
])('%d with four digits', (value, wanted) => {
  expect(formatDigits(value, 4)).toBe(wanted);
});
