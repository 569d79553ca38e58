/** What this build is: the version of the project and the Thanos release it stands in for. */
import type { BuildInfo } from './process-metrics.ts';

/** Shown by `--version`, `/api/v1/status/buildinfo` and the build info metrics. An image build sets the revision and branch. */
export const BUILD_INFO: BuildInfo = {
  version: '0.1.0',
  revision: process.env['GAUNTLET_REVISION'] ?? '',
  branch: process.env['GAUNTLET_BRANCH'] ?? '',
  thanosVersion: '0.43.0',
};
