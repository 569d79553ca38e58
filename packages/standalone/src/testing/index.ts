/** The sample shop for the tests of other packages. */
export { SHOP_INSTANCES, SHOP_JOB, type ModelFamily, type ModelSeries, shopModel } from '../sample/shop-model.ts';
export { type SampleService, type SampleServiceOptions, startSampleService } from '../sample/sample-service.ts';
