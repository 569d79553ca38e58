/**
 * Range reads of the S3 bucket against this server in the same process: what a request costs, client and server together.
 * Run: node --import tsx packages/s3-server/src/range-get.bench.ts; GAUNTLET_BENCH_SMALL=1 for a short run.
 */
import { createBucketFromConfig } from '@gauntlet/objstore';
import { createNopLogger } from '@gauntlet/service-kit';

import { startTestS3 } from './testing/index.ts';

const isSmall = process.env['GAUNTLET_BENCH_SMALL'] === '1';
const s3 = await startTestS3();
const bucket = await createBucketFromConfig(s3.configYaml, { component: 'bench', source: 'bench', log: createNopLogger() });
await bucket.upload('chunks', Buffer.alloc(64 * 1024 * 1024, 'gauntlet'));

for (const { bytes, concurrency, requests } of [
  { bytes: 16 * 1024, concurrency: 32, requests: isSmall ? 64 : 4000 },
  { bytes: 512 * 1024, concurrency: 16, requests: isSmall ? 16 : 600 },
]) {
  const target = Array.from({ length: concurrency }, () => new Uint8Array(bytes));
  let next = 0;
  let sum = 0;
  const cpu = process.cpuUsage();
  const start = performance.now();
  await Promise.all(target.map(async (into) => {
    while (next < requests) {
      const at = (next++ * 7919 * 1024) % (63 * 1024 * 1024);
      const got = await bucket.getRangeInto('chunks', at, into);
      sum += got;
    }
  }));
  const seconds = (performance.now() - start) / 1000;
  const used = process.cpuUsage(cpu);
  console.log(`${bytes / 1024} KiB x${concurrency}: ${(requests / seconds).toFixed(0)} requests/s, ${(sum / seconds / 1e6).toFixed(0)} MB/s, CPU ${((used.user + used.system) / 1000 / requests).toFixed(2)} ms a request (both sides)`);
}
await bucket.close();
await s3.close();
