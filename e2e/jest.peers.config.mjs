/** Tier 2: whole processes with real Prometheus, MinIO and Chromium. A missing peer is a skip with a reason, or a failure with GAUNTLET_REQUIRE_PEERS=1. */
import { join } from 'node:path';
import { moduleNameMapper, modulePathIgnorePatterns, transform } from './jest.shared.mjs';

export default {
  rootDir: join(import.meta.dirname, '..'),
  displayName: 'peers',
  testEnvironment: 'node',
  extensionsToTreatAsEsm: ['.ts'],
  transform,
  moduleNameMapper,
  modulePathIgnorePatterns,
  roots: ['<rootDir>/e2e'],
  testMatch: ['<rootDir>/e2e/peers/*.peers.ts'],
  setupFilesAfterEnv: ['<rootDir>/e2e/harness/end-everything.ts'],
  testTimeout: 120_000,
};
