import { describe, expect, test } from '@jest/globals';
import { demoHelp, findDemoCommand } from './main.ts';

describe('gauntlet demo', () => {
  test.each(['shop', 'webhook', 'bucket', 'history'])('%s is a command, and in the help', (name) => {
    expect(findDemoCommand(name).summary).not.toBe('');
    expect(demoHelp()).toContain(`  ${name} `);
  });

  test('another word is refused with the nearest', () => expect(() => findDemoCommand('hsop')).toThrow('expected a command of demo but got "hsop", did you mean "shop"?'));
});
