import { expect, test } from '@jest/globals';
import { createGeneratorUrl, queryEscape } from './generator-url.ts';

test.each([
  { name: 'the default', template: '/graph?g0.expr={{.Expr}}&g0.tab=1', wanted: 'http://q/graph?g0.expr=up+%3D%3D+0&g0.tab=1' },
  { name: 'spaces in the action', template: '?a={{ .Expr }}', wanted: 'http://q?a=up+%3D%3D+0' },
  { name: 'twice', template: '{{.Expr}}|{{.Expr}}', wanted: 'http://qup+%3D%3D+0|up+%3D%3D+0' },
  { name: 'trimmed', template: 'a {{- .Expr -}} b', wanted: 'http://qaup+%3D%3D+0b' },
  { name: 'not at all', template: '/x', wanted: 'http://q/x' },
])('$name', ({ template, wanted }) => expect(createGeneratorUrl('http://q', template)('up == 0')).toBe(wanted));

test.each([
  ['/{{.Foo}}', 'column 2: {{.Foo}} is not supported'],
  ['{{', 'column 1: unclosed action'],
  ['{{ printf "%s" .Expr }}', 'is not supported'],
  ['{{if .Expr}}x{{end}}', 'is not supported'],
])('%j is refused', (template, message) => expect(() => createGeneratorUrl('', template)).toThrow(message));

test("escapes as Go's url.QueryEscape", () => {
  expect(queryEscape(`a b!'()*~-_.+&=ü%\ud800`)).toBe('a+b%21%27%28%29%2A~-_.%2B%26%3D%C3%BC%25%EF%BF%BD');
});
