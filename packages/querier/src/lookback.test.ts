/** The selection table of Thanos' TestLookbackDeltaFactory, and the cases around it. */
import { expect, test } from '@jest/globals';
import { lookbackFor } from './lookback.ts';

const M = 60_000;
const H = 60 * M;

test.each([
  { name: 'raw', configuredMs: 3 * M, resolutionMs: 0, want: 3 * M },
  { name: 'below the configured', configuredMs: 3 * M, resolutionMs: 2 * M, want: 3 * M },
  { name: 'at the configured', configuredMs: 3 * M, resolutionMs: 3 * M, want: 3 * M },
  { name: 'below 5 m', configuredMs: 3 * M, resolutionMs: 4 * M, want: 5 * M },
  { name: 'five-minute data', configuredMs: 3 * M, resolutionMs: 5 * M, want: 5 * M },
  { name: 'between', configuredMs: 3 * M, resolutionMs: 6 * M, want: H },
  { name: 'hour data', configuredMs: 3 * M, resolutionMs: H, want: H },
  { name: 'coarser than all', configuredMs: 3 * M, resolutionMs: 2 * H, want: H },
  { name: 'default, raw', configuredMs: 0, resolutionMs: 0, want: 5 * M },
  { name: 'default, hour data', configuredMs: 0, resolutionMs: H, want: H },
  { name: 'configured above 5 m', configuredMs: 30 * M, resolutionMs: 5 * M, want: 30 * M },
  { name: 'configured above 5 m, hour data', configuredMs: 30 * M, resolutionMs: H, want: H },
  { name: 'configured above 1 h', configuredMs: 2 * H, resolutionMs: 3 * H, want: 2 * H },
])('$name', ({ configuredMs, resolutionMs, want }) => {
  expect(lookbackFor(configuredMs, true, resolutionMs)).toBe(want);
  expect(lookbackFor(configuredMs, false, resolutionMs)).toBeUndefined();
});
