/** The ByteCache contract, for tests of this and other packages. */
export { describeCacheContract } from './cache-cases.ts';
