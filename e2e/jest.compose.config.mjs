/** Tier 3: the real containers of docker-compose.yml. scripts/test.mjs --compose sees to Docker and the images before. */
import { join } from 'node:path';
import { moduleNameMapper, modulePathIgnorePatterns, transform } from './jest.shared.mjs';

export default {
  rootDir: join(import.meta.dirname, '..'),
  displayName: 'compose',
  testEnvironment: 'node',
  extensionsToTreatAsEsm: ['.ts'],
  transform,
  moduleNameMapper,
  modulePathIgnorePatterns,
  roots: ['<rootDir>/e2e'],
  testMatch: ['<rootDir>/e2e/compose/*.e2e.ts'],
  setupFilesAfterEnv: ['<rootDir>/e2e/harness/end-everything.ts'],
  testTimeout: 120_000,
};
