/** A target over real HTTP into a real database, and what a query then finds: samples, `up`, and a gap marked stale. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, test } from '@jest/globals';
import { createKernels } from '@gauntlet/kernels';
import { createMatcher, formatLabels, isStaleNaN, wordsOf } from '@gauntlet/model';
import { createDb } from '@gauntlet/tsdb';
import { createMemoryFileSystem } from '@gauntlet/tsdb/testing';
import { createScrapeConfig } from './scrape-config.ts';
import { createScraper } from './scraper.ts';

test('story: scraped, stored, queried', async () => {
  const bodies = ['a 1\nb 2\n', 'a 3\n'];
  const server = createServer((_, response) => response.writeHead(200, { 'content-type': 'text/plain' }).end(bodies.shift() ?? 'a 9\n'));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  const clock = { nowMs: 1_700_000_000_000, now: () => clock.nowMs, setTimer: () => () => undefined };
  const db = createDb({ fs: createMemoryFileSystem(), dir: 'data', kernels: createKernels(), clock, random: () => 0.5 });
  const silent = { debug: () => undefined, warn: () => undefined, error: () => undefined };
  const scraper = createScraper([createScrapeConfig({ jobName: 'shop', staticConfigs: [{ targets: [address], labels: [] }] })], { appendable: db, clock, log: silent, metrics: { noteScrape: () => undefined } });
  try {
    for (let i = 0; i < 2; i++) {
      await scraper.loops()[0]!.scrapeOnce();
      clock.nowMs += 15_000;
    }
    expect(scraper.targets()).toMatchObject([{ health: 'up', lastError: '', target: { labels: ['instance', address, 'job', 'shop'] } }]);
    const found: Record<string, (number | 'stale')[]> = {};
    for await (const batch of db.queryable.select({ matchers: [createMatcher('=~', '__name__', 'a|b|up')], mint: 0, maxt: clock.nowMs })) {
      const words = wordsOf(batch.values);
      batch.labels.forEach((labels, i) => {
        const values: (number | 'stale')[] = [];
        for (let s = batch.offsets[i]!; s < batch.offsets[i + 1]!; s++) values.push(isStaleNaN(words, s) ? 'stale' : batch.values[s]!);
        found[formatLabels(labels).replace(address, 'TARGET')] = values;
      });
    }
    expect(found).toEqual({
      '{__name__="a", instance="TARGET", job="shop"}': [1, 3],
      '{__name__="b", instance="TARGET", job="shop"}': [2, 'stale'],
      '{__name__="up", instance="TARGET", job="shop"}': [1, 1],
    });
  } finally {
    await scraper.stop();
    db.close();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
});
