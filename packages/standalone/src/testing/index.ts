/** The sample shop for the tests of other packages. */
export { SHOP_INSTANCES, SHOP_JOB, type ModelFamily, type ModelSeries, shopModel } from '@gauntlet/demo';
export { type SampleService, type SampleServiceOptions, startSampleService } from '@gauntlet/demo';
