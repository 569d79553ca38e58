/** Markers: byte-equal to Thanos', set once, read with care. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { createMemoryBucket } from '@gauntlet/objstore';
import { createMetrics, createNopLogger } from '@gauntlet/service-kit';
import { describe, expect, test } from '@jest/globals';

import { MARKERS, formatMarker, markBlock, markerKey, parseMarker, readMarker, unmarkBlock } from './markers.ts';
import type { MarkerKind } from './markers.ts';
import { TESTDATA } from './testing/golden.ts';

const KINDS = Object.keys(MARKERS) as MarkerKind[];
const id = '01M7YH8MWRAHCY0QHCESGFVHVY';

describe.each(KINDS)('%s', (kind) => {
  test('the recorded mark is written back byte for byte', () => {
    const bytes = readFileSync(join(TESTDATA, 'marks', MARKERS[kind].file));
    const marker = parseMarker(bytes, id, kind);
    expect(marker.timeSeconds).toBe(1_795_247_377);
    expect(Buffer.from(formatMarker(marker, kind)).toString()).toBe(bytes.toString());
  });
  test('is set once: the first time counts', async () => {
    const bucket = createMemoryBucket();
    const marked = createMetrics().counter({ name: 'marked_total', help: 'x' });
    let nowMs = 5_000_999;
    const deps = { bucket, log: createNopLogger(), clock: () => nowMs, marked };
    expect(await readMarker(bucket, id, kind)).toBeUndefined();
    expect(await markBlock(deps, id, kind, 'why')).toBe(true);
    nowMs += 100_000;
    expect(await markBlock(deps, id, kind, 'again')).toBe(false);
    expect(await readMarker(bucket, id, kind)).toEqual({ id, timeSeconds: 5000, details: 'why', reason: kind === 'deletion' ? '' : 'manual' });
    expect(marked.value()).toBe(1);
    expect(bucket.keys()).toEqual([markerKey(id, kind)]);
    await unmarkBlock(bucket, id, kind);
    await unmarkBlock(bucket, id, kind);
    expect(await readMarker(bucket, id, kind)).toBeUndefined();
  });
  test.each([
    ['cut off', '{"id":"01M7', 'ERR_MARKER_CORRUPT'], ['empty', '', 'ERR_MARKER_CORRUPT'], ['a list', '[]', 'ERR_MARKER_CORRUPT'],
    ['another version', '{"version":2}', 'ERR_MARKER_VERSION'], ['no version', '{}', 'ERR_MARKER_VERSION'],
    ['a time that is text', `{"version":1,"${MARKERS[kind].timeKey}":"x"}`, 'ERR_MARKER_CORRUPT'],
    ['a number as details', '{"version":1,"details":1}', 'ERR_MARKER_CORRUPT'],
  ])('%s is refused', async (_name, text, code) => {
    const bucket = createMemoryBucket();
    await bucket.upload(markerKey(id, kind), Buffer.from(text));
    await expect(readMarker(bucket, id, kind)).rejects.toMatchObject({ code, message: expect.stringContaining(`${MARKERS[kind].file} of block ${id}`) });
  });
});
