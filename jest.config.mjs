/**
 * Tier 1. Sources run through swc; imports between packages resolve to sources, so unit tests need no build.
 *
 *   unit   packages/<name>/src/<file>.test.ts
 *   e2e    e2e/<behaviour>.e2e.ts: whole processes of the built bin/gauntlet on loopback
 *
 * One of them alone: `--selectProjects unit`, or a path.
 */
import { moduleNameMapper, modulePathIgnorePatterns, transform } from './e2e/jest.shared.mjs';

const shared = { testEnvironment: 'node', extensionsToTreatAsEsm: ['.ts'], transform, moduleNameMapper, modulePathIgnorePatterns };

export default {
  /** A hang ends; a machine that is busy with something else is no failure. */
  testTimeout: 60_000,
  workerIdleMemoryLimit: '512MB',
  projects: [
    { ...shared, displayName: 'unit', roots: ['<rootDir>/packages'], testMatch: ['<rootDir>/packages/*/src/**/*.test.ts'] },
    { ...shared, displayName: 'e2e', roots: ['<rootDir>/e2e'], testMatch: ['<rootDir>/e2e/*.e2e.ts'], setupFilesAfterEnv: ['<rootDir>/e2e/harness/end-everything.ts'] },
  ],
};
