/** What a worker thread that compacts needs of this package: `@gauntlet/block/worker`. The index brings what moves blocks to and from buckets with it. */
export { BlockError, type BlockErrorCode } from './errors.ts';
export { gatherIndexHealth, type IndexHealth, type IndexHealthObserver, type Spread } from './index-health.ts';
