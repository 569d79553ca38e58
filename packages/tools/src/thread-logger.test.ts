/** Log lines that cross threads: levels, fields of loggers and lines, and only what can be copied. */
import { expect, test } from '@jest/globals';
import { createThreadLogger, type ThreadLogLine } from './thread-logger.ts';

test('lines come with their level, the fields of their loggers, and nothing that cannot be copied', () => {
  const lines: ThreadLogLine[] = [];
  const log = createThreadLogger((line) => lines.push(structuredClone(line)), { tool: 'x' });
  log.info('a');
  log.child({ block: 1 }).child({ part: 'p' }).warn('b', { err: new Error('no', { cause: new Error('why') }), at: { offset: 2 }, run: () => 1, mark: Symbol('s'), tool: 'y', none: undefined });
  expect(log.enabled('debug')).toBe(true);
  expect(lines).toEqual([
    { kind: 'log', level: 'info', message: 'a', fields: { tool: 'x' } },
    { kind: 'log', level: 'warn', message: 'b', fields: { tool: 'y', block: 1, part: 'p', err: expect.stringContaining('no'), at: '{"offset":2}', run: expect.stringContaining('=>'), mark: 'Symbol(s)', none: undefined } },
  ]);
});
