import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { ServiceKitError } from './errors.ts';
import { type LoggerOptions, createLogger, createNopLogger, createStreamSink, logfmtValue } from './log.ts';

function capture(options: LoggerOptions = {}): { lines: string[]; log: ReturnType<typeof createLogger> } {
  const lines: string[] = [];
  const log = createLogger({ clock: () => Date.UTC(2026, 0, 2, 3, 4, 5, 678), caller: false, sink: { write: (line) => void lines.push(line), flush() {} }, ...options });
  return { lines, log };
}

test('a logfmt line: ts, level, child fields, msg, fields', () => {
  const { lines, log } = capture();
  log.child({ component: 'sidecar' }).child({ service: 'http/server' }).info('listening for requests', { address: '0.0.0.0:10902', tls: false, tries: 3, none: undefined });
  expect(lines).toEqual(['ts=2026-01-02T03:04:05.678Z level=info component=sidecar service=http/server msg="listening for requests" address=0.0.0.0:10902 tls=false tries=3\n']);
});

test('a JSON line, keys sorted', () => {
  const { lines, log } = capture({ format: 'json' });
  log.error('no', { err: new Error('outer', { cause: new Error('inner') }), list: [1], big: Number.NaN });
  expect(lines).toEqual(['{"big":"NaN","err":"outer: inner","level":"error","list":[1],"msg":"no","ts":"2026-01-02T03:04:05.678Z"}\n']);
});

test('levels below the least are not written', () => {
  const { lines, log } = capture({ level: 'warn' });
  log.debug('a');
  log.info('b');
  log.warn('c');
  log.error('d');
  expect(lines.map((line) => /level=(\w+)/.exec(line)![1])).toEqual(['warn', 'error']);
  expect(log.enabled('info')).toBe(false);
  expect(log.enabled('error')).toBe(true);
});

test('the caller is the file and line of the call', () => {
  const { lines, log } = capture({ caller: true });
  log.info('here');
  expect(lines[0]).toMatch(/ caller=log\.test\.ts:\d+ level=info /);
});

describe('logfmt values', () => {
  test.each([
    ['plain', 'plain'],
    ['two words', '"two words"'],
    ['a=b', '"a=b"'],
    ['say "x"', '"say \\"x\\""'],
    ['line\nbreak', '"line\\nbreak"'],
    ['', ''],
    ['null', '"null"'],
    [null, 'null'],
    [1.5, '1.5'],
    [true, 'true'],
    [new ServiceKitError('ERR_LISTEN', 'port in use'), '"port in use"'],
    [['a', 1], '"[\\"a\\",1]"'],
    ['é😀', 'é😀'],
  ])('%j', (value, text) => {
    expect(logfmtValue(value)).toBe(text);
  });

  test('never break the line or the field', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        const value = logfmtValue(text);
        expect(value).not.toMatch(/[\n\r]/);
        if (value.startsWith('"')) expect(JSON.parse(value)).toBe(text);
        else expect(value).not.toMatch(/[ ="]/);
      }),
    );
  });
});

test('an object that contains itself does not stop the line', () => {
  const { lines, log } = capture();
  const loop: Record<string, unknown> = {};
  loop['self'] = loop;
  log.info('x', { loop });
  expect(lines[0]).toContain('loop=[circular]');
});

test('a sink writes once per turn and on flush', async () => {
  const writes: string[] = [];
  const sink = createStreamSink({ write: (text: string) => writes.push(text) });
  sink.write('a\n');
  sink.write('b\n');
  expect(writes).toEqual([]);
  await new Promise((resolve) => setImmediate(resolve));
  expect(writes).toEqual(['a\nb\n']);
  sink.write('c\n');
  sink.flush();
  sink.write(`${'x'.repeat(70_000)}\n`);
  expect(writes).toHaveLength(3);
});

test('journald is refused by name, the nop logger is silent', () => {
  expect(() => createLogger({ format: 'journald' })).toThrow('--log.format=journald');
  expect(createNopLogger().child({}).enabled('error')).toBe(false);
});
