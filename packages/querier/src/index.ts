export { QuerierError, type QuerierErrorCode } from './errors.ts';
export { type QuerierConfig, querierFlags } from './flags.ts';
export { createBuiltQuerier, main } from './main.ts';
export type { Querier } from './querier.ts';
