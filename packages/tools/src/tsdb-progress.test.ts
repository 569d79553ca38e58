/** The bar: what it says at which moment, and that it stays within the terminal. */
import { expect, test } from '@jest/globals';
import { createProgressBar, progressLine } from './tsdb-progress.ts';

test.each<{ name: string; progress: Parameters<typeof progressLine>[0]; elapsedMs: number; line: string }>([
  { name: 'the beginning', progress: { label: 'read', done: 0, total: 100, unit: 'series' }, elapsedMs: 0, line: 'read  [>                       ]    0%' },
  { name: 'on the way', progress: { label: 'read', done: 4_500_000, total: 9_000_000, unit: 'bytes' }, elapsedMs: 1500, line: 'read  [============>           ]   50%  3.0 MB/s  2s left' },
  { name: 'the end', progress: { label: 'read', done: 100, total: 100, unit: 'series' }, elapsedMs: 2000, line: 'read  [========================]  100%  50 series/s' },
  { name: 'no total', progress: { label: 'dump', done: 12_345, total: 0, unit: 'series' }, elapsedMs: 1000, line: 'dump  12.3k series  12.3k series/s' },
])('$name', ({ progress, elapsedMs, line }) => expect(progressLine(progress, elapsedMs, 80)).toBe(line));

test('it is cut to the terminal', () => expect(progressLine({ label: 'a long label', done: 1, total: 2, unit: 'series' }, 1000, 20)).toHaveLength(20));

test('a terminal is drawn on, anything else is left alone', () => {
  let drawn = '';
  let nowMs = 1000;
  const deps = { printError: (text: string) => (drawn += text), clock: () => nowMs };
  const none = createProgressBar({ ...deps, progressColumns: undefined });
  none.show({ label: 'x', done: 1, total: 2, unit: 'series' });
  none.clear();
  expect(drawn).toBe('');
  const bar = createProgressBar({ ...deps, progressColumns: 60 });
  bar.clear();
  expect(drawn).toBe('');
  bar.show({ label: 'x', done: 0, total: 2, unit: 'series' });
  nowMs += 1000;
  bar.show({ label: 'x', done: 1, total: 2, unit: 'series' });
  bar.clear();
  expect(drawn).toBe('\r\u001b[Kx  [>                       ]    0%\r\u001b[Kx  [============>           ]   50%  1 series/s  1s left\r\u001b[K');
});
