/** A small S3 server over a folder or memory. See README.md. */
export { createS3Server } from './s3-server.ts';
export type { S3ListenOptions, S3Server, S3ServerOptions } from './s3-server.ts';
export { FaultScript } from './faults.ts';
export type { FaultAction, FaultDecision, FaultRule, FaultTarget } from './faults.ts';
export { RequestLedger } from './ledger.ts';
export type { LedgerEntry } from './ledger.ts';
export { S3ServerError } from './errors.ts';
export type { S3ErrorCode } from './errors.ts';
export type { S3Credentials } from './sigv4.ts';
