/** The seam of demo. README.md has the reading order. */
export { DemoError, type DemoErrorCode } from './errors.ts';
export { demoHelp, main } from './main.ts';
export { type HistoryConfig, type HistoryFlags, historyFlags, type MakeBucketFlags, makeBucketFlags, type ShopFlags, shopFlags, type WebhookFlags, webhookFlags } from './flags.ts';
export { SHOP_INSTANCES, SHOP_JOB, type ModelFamily, type ModelSeries, shopInstance, shopModel } from './shop/shop-model.ts';
export { type SampleService, type SampleServiceOptions, startSampleService } from './shop/sample-service.ts';
export { type HistoryBlock, type HistoryBlockOptions, type HistoryDeps, type HistorySeries, historySeries, writeHistoryBlock } from './history/write-history-block.ts';
export { BACKFILL_SOURCE, generatedLabels, ORIGIN_GENERATED, ORIGIN_LABEL, uploadHistory, type UploadHistoryDeps, type UploadHistoryOptions } from './history/upload-history.ts';
export { HISTORY_BLOCK_MS, type HistoryPlanOptions, planHistory } from './history/plan-history.ts';
export { runHistory, type RunHistoryDeps } from './history/run-history.ts';
export { type ReceivedAlert, startWebhookReceiver, type WebhookOptions, WEBHOOK_BYTES_MAX } from './webhook/webhook-receiver.ts';
export type { Listening } from './listen-on.ts';
