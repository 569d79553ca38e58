/**
 * What a worker thread needs of this package, and nothing that is heavy to load: `@gauntlet/service-kit/worker`. The index brings the HTTP
 * and gRPC servers, YAML and metrics with it, 0.4 s and 22 MB per thread; this a few ms.
 */
export { formatDurationText, parseDurationText, parseSizeText } from './duration-text.ts';
export { ServiceKitError, errorText, systemErrorCode, type ServiceKitErrorCode } from './errors.ts';
export { createNodeFileSystem, type NodeFileHandle, type NodeFileStat, type NodeFileSystem, type NodeFileSystemOptions } from './file-system.ts';
export { FramedMessage, GRPC_HEADER_BYTES } from './framed-message.ts';
export { httpAuthorization } from './http-client.ts';
export type { HttpCredentials } from './http-client-config.ts';
export { createGate, type Gate, type GateOptions } from './gate.ts';
export { MemoryAccount, MemoryLedger, MemoryLimitError, showBytes, type MemoryLedgerShare } from './memory-ledger.ts';
export { WorkerTaskError, type TaskErrorData } from './worker-pool.ts';
export { poolData, serveTasks, taskErrorData, type TaskAnswer, type WorkerTask } from './worker-task.ts';
