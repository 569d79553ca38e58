/** The memory bucket meets the contract. */
import { createMemoryBucket } from './memory-bucket.ts';
import { createPrefixedBucket } from './prefixed-bucket.ts';
import { describeBucketContract } from './testing/index.ts';

describeBucketContract('memory', () => Promise.resolve(createMemoryBucket()));
describeBucketContract('memory, prefixed', () => Promise.resolve(createPrefixedBucket(createMemoryBucket(), '/some/prefix/')));
