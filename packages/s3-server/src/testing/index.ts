/** Helpers for tests of other packages. */
export { startTestS3 } from './test-s3.ts';
export type { TestS3 } from './test-s3.ts';
export { chunkBody, signHeaders } from './sign-request.ts';
export type { ChunkBodyOptions, SignableRequest } from './sign-request.ts';
