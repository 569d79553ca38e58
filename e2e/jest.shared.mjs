/** How tests are read, for every tier. `<rootDir>` is the checkout. */
export const transform = {
  '^.+\\.ts$': ['@swc/jest', { jsc: { parser: { syntax: 'typescript' }, target: 'es2023' }, module: { type: 'es6' }, sourceMaps: 'inline' }],
};
export const moduleNameMapper = {
  '^@gauntlet/([^/]+)$': '<rootDir>/packages/$1/src/index.ts',
  '^@gauntlet/([^/]+)/(worker|grpc-client)$': '<rootDir>/packages/$1/src/$2.ts',
  '^@gauntlet/([^/]+)/testing$': '<rootDir>/packages/$1/src/testing/index.ts',
};
export const modulePathIgnorePatterns = ['<rootDir>/packages/[^/]+/dist'];
