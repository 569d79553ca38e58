/** What tests of this package and of those above it need. */
export { putBlock, type TestBlock, testBlockId } from './blocks.ts';
export { configOf, goldenFolder, startTestGateway, type TestGateway, type TestGatewayOptions, WORKER_MODULE } from './gateway.ts';
