/** How far back an instant selector looks. Source: Thanos pkg/api/query/v1.go, LookbackDeltaFactory. */

const DEFAULT_MS = 300_000;
const HOUR_MS = 3_600_000;

/**
 * With coarse data an instant selector must reach back to the last coarse sample: the least of the configured lookback, 5 m and 1 h that
 * covers the resolution, else the largest of them.
 * @param configuredMs `--query.lookback-delta`; 0 is 5 m
 * @param maxResolutionMs coarsest resolution the query may get; 0 is raw
 * @returns undefined: the engine's own
 */
export function lookbackFor(configuredMs: number, isDynamic: boolean, maxResolutionMs: number): number | undefined {
  if (!isDynamic) return undefined;
  const leastMs = configuredMs > 0 ? configuredMs : DEFAULT_MS;
  const candidates = [leastMs, Math.max(leastMs, DEFAULT_MS), Math.max(leastMs, HOUR_MS)] as const;
  return candidates.find((candidate) => candidate >= maxResolutionMs) ?? candidates[2];
}
