/** StoreAPI over the blocks in a bucket. See README.md. */
export { StoreGatewayError, type StoreGatewayErrorCode } from './errors.ts';
export { type StoreGatewayConfig, type StoreGatewayFlags, storeGatewayFlags } from './flags.ts';
export { main, run, type RunningStoreGateway, startStoreGateway, type StartStoreGatewayDeps } from './main.ts';
export { createStoreGateway, type StoreGateway, type StoreGatewayDeps } from './store-gateway.ts';
