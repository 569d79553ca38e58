/**
 * Writes unique samples into a database as fast as it can, until it is killed (tsdb-kill.e2e.ts):
 *
 *   node tsdb-writer.mjs <data directory> <journal> <number of this run>
 *
 * The journal gets a line before and one after each commit, each in one write:
 *   {"batch": 7, "samples": [["0", 12300, 17], …]}      about to be committed: series, time in ms, value (of a histogram: its sum)
 *   {"done": 7}                                          committed
 * Blocks span 2 s of the samples' own time, which rises by 100 ms with each batch; cuts, checkpoints, compactions, retention, forced cuts
 * and restarts of the database come along.
 */
import { existsSync, openSync, readFileSync, writeSync } from 'node:fs';
import { createKernels } from '@gauntlet/kernels';
import { createHistogram } from '@gauntlet/model';
import { createNodeFileSystem } from '@gauntlet/service-kit';
import { createDb, isTsdbError } from '@gauntlet/tsdb';

const [dir, journalPath, run] = process.argv.slice(2);
const STEP_MS = 100;
const FLOATS = 30;
const HISTOGRAMS = 4;
/** Times of runs do not meet, nor do values. */
const VALUES_PER_RUN = 1_000_000;

function lastTime() {
  if (!existsSync(journalPath)) return 0;
  const times = readFileSync(journalPath, 'utf8').matchAll(/",(\d+),/g);
  let last = 0;
  for (const [, time] of times) last = Math.max(last, Number(time));
  return last;
}

const deps = { fs: createNodeFileSystem(), dir, kernels: createKernels(), clock: Date, random: Math.random };
const open = () => createDb(deps, { blockRangeMs: 2000, retentionMs: 60_000, blockRangeMaxMs: 18_000, outOfOrderWindowMs: 4000, walSegmentBytes: 65_536, exemplars: 100 });
const journal = openSync(journalPath, 'a');
// What a kill has cut off must not begin a line of ours.
writeSync(journal, '\n');
let nowMs = lastTime() + STEP_MS;
let value = Number(run) * VALUES_PER_RUN;
let db = open();
writeSync(1, `open, ${db.replay.samples} samples, repair: ${JSON.stringify(db.replay.repair ?? null)}\n`);

for (let batch = 1; ; batch++, nowMs += STEP_MS) {
  const appender = db.appender();
  const samples = [];
  const give = (series, timeMs, append) => {
    try {
      append(['__name__', 'kill', 'i', series], ++value);
      samples.push([series, timeMs, value]);
    } catch (error) {
      if (!isTsdbError(error) || !error.code.startsWith('ERR_SAMPLE_')) throw error;
    }
  };
  const float = (series, timeMs) => give(series, timeMs, (labels, one) => appender.append(0, labels, timeMs, one));
  for (let i = 0; i < FLOATS; i++) float(String(i), nowMs);
  float(`new ${run}-${batch >> 3}`, nowMs);
  if (batch % 3 === 0) float(String(batch % FLOATS), nowMs - 1550);
  for (let i = 0; i < HISTOGRAMS; i++) {
    const buckets = { positiveSpans: [{ offset: batch % 2, length: 1 }], positiveBuckets: Float64Array.of(batch) };
    give(`histogram ${i}`, nowMs, (labels, one) => appender.appendHistogram(0, labels, nowMs, createHistogram({ count: batch, sum: one, ...buckets })));
  }
  writeSync(journal, `${JSON.stringify({ batch, samples })}\n`);
  appender.commit();
  writeSync(journal, `${JSON.stringify({ done: batch })}\n`);
  if (batch % 10 === 0) db.compactHead({ force: batch % 70 === 0 });
  if (batch % 25 === 0) db.compactBlocks();
  if (batch % 45 === 0) {
    db.close();
    db = open();
  }
}
