/** Tier 1. Sources run through swc; imports between packages resolve to sources, so unit tests need no build. */
export default {
  testEnvironment: 'node',
  extensionsToTreatAsEsm: ['.ts'],
  transform: {
    '^.+\\.ts$': ['@swc/jest', { jsc: { parser: { syntax: 'typescript' }, target: 'es2023' }, module: { type: 'es6' }, sourceMaps: 'inline' }],
  },
  moduleNameMapper: {
    '^@gauntlet/([^/]+)$': '<rootDir>/packages/$1/src/index.ts',
    '^@gauntlet/([^/]+)/testing$': '<rootDir>/packages/$1/src/testing/index.ts',
  },
  roots: ['<rootDir>/packages'],
  testMatch: ['<rootDir>/packages/*/src/**/*.test.ts'],
  modulePathIgnorePatterns: ['<rootDir>/packages/[^/]+/dist'],
  workerIdleMemoryLimit: '512MB',
};
