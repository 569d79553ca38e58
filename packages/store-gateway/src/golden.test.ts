/** Answers of the gateway against recordings of `thanos store` over the same blocks: status, text, series, chunks, batch sizes. */
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import {
  createSeriesFrame,
  decodeSeriesFrame,
  frameLabels,
  framePartData,
  infoResponse,
  labelNamesRequest,
  labelNamesResponse,
  labelValuesRequest,
  labelValuesResponse,
  responseHints,
  seriesRequest,
} from '@gauntlet/proto';
import { infoToMessage, toGrpcStatus } from '@gauntlet/storeapi';
import { goldenFolder, startTestGateway, type TestGateway } from './testing/gateway.ts';

interface Recording {
  readonly method: string;
  readonly requestBase64: string;
  readonly status: { readonly code: number; readonly message: string };
  readonly frames: readonly string[];
}

const golden = goldenFolder();

/** Folder of recordings, blocks behind it, flags. */
const SETS: readonly { readonly name: string; readonly blocks: string; readonly flags: readonly string[] }[] = [
  { name: 'store', blocks: 'bucket/plain', flags: [] },
  { name: 'store-vertical', blocks: 'bucket/vertical', flags: [] },
  { name: 'store-penalty', blocks: 'bucket/penalty', flags: [] },
  { name: 'store-time-partition', blocks: 'bucket/plain', flags: ['--min-time=2026-04-23T00:00:00Z', '--max-time=2026-04-23T03:00:00Z'] },
];

/** What counts of a Series answer: sequence of series, their chunks in full, and series per frame. */
function readAnswer(frames: readonly Uint8Array[]): { series: unknown[]; sizes: number[]; warnings: string[] } {
  const frame = createSeriesFrame();
  const series: unknown[] = [];
  const sizes: number[] = [];
  const warnings: string[] = [];
  for (const bytes of frames) {
    decodeSeriesFrame(bytes, frame);
    if (frame.warning !== undefined) warnings.push(frame.warning);
    sizes.push(frame.seriesCount);
    for (let s = 0; s < frame.seriesCount; s++) {
      const chunks: unknown[] = [];
      for (let c = frame.chunkOffsets[s]!; c < frame.chunkOffsets[s + 1]!; c++) {
        const parts: unknown[] = [];
        for (let p = frame.partOffsets[c]!; p < frame.partOffsets[c + 1]!; p++) {
          parts.push([frame.partAggregate[p], frame.partEncoding[p], Buffer.from(framePartData(frame, p)).toString('hex'), frame.partHashHi[p], frame.partHashLo[p]]);
        }
        chunks.push([frame.chunkMint[c], frame.chunkMaxt[c], parts]);
      }
      series.push({ labels: frameLabels(frame, s), chunks });
    }
  }
  return { series, sizes, warnings };
}

function hintsOf(hints: { readonly typeUrl: string; readonly value: Uint8Array } | undefined): unknown {
  return hints === undefined ? undefined : [hints.typeUrl, responseHints.decode(hints.value).queriedBlocks.map((block) => block.id).toSorted()];
}

/** Everything that counts of an answer, in a form that compares. */
async function ask(gateway: TestGateway, recording: Recording): Promise<{ status: { code: number; message: string }; answer: unknown }> {
  const request = Buffer.from(recording.requestBase64, 'base64');
  const { store } = gateway;
  try {
    let answer: unknown;
    if (recording.method.endsWith('/Series')) answer = readAnswer(await collect(store.series(seriesRequest.decode(request))));
    else if (recording.method.endsWith('/LabelNames')) answer = labelAnswer(labelNamesResponse.encode(await store.labelNames(labelNamesRequest.decode(request))), 'names');
    else if (recording.method.endsWith('/LabelValues')) answer = labelAnswer(labelValuesResponse.encode(await store.labelValues(labelValuesRequest.decode(request))), 'values');
    else answer = infoAnswer(infoResponse.encode(infoToMessage(store.info())));
    return { status: { code: 0, message: '' }, answer };
  } catch (error) {
    const { code, details } = toGrpcStatus(error);
    return { status: { code, message: details }, answer: undefined };
  }
}

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

function labelAnswer(bytes: Uint8Array, kind: 'names' | 'values'): unknown {
  if (kind === 'names') {
    const { names, warnings, hints } = labelNamesResponse.decode(bytes);
    return { names, warnings, hints: hintsOf(hints) };
  }
  const { values, warnings, hints } = labelValuesResponse.decode(bytes);
  return { values, warnings, hints: hintsOf(hints) };
}

function infoAnswer(bytes: Uint8Array): unknown {
  const message = infoResponse.decode(bytes);
  return { ...message, store: { ...message.store, tsdbInfos: message.store!.tsdbInfos.map((info) => JSON.stringify(info)).toSorted() } };
}

/** Which of two equally bad blocks is named first is chance. */
function anyBlock({ code, message }: { readonly code: number; readonly message: string }): { code: number; message: string } {
  return { code, message: message.replace(/01M7[0-9A-Z]{22}/g, 'BLOCK') };
}

function recorded(recording: Recording): unknown {
  if (recording.status.code !== 0) return undefined;
  const frames = recording.frames.map((frame) => new Uint8Array(Buffer.from(frame, 'base64')));
  if (recording.method.endsWith('/Series')) return readAnswer(frames);
  if (recording.method.endsWith('/LabelNames')) return labelAnswer(frames[0]!, 'names');
  if (recording.method.endsWith('/LabelValues')) return labelAnswer(frames[0]!, 'values');
  return infoAnswer(frames[0]!);
}

function recordingsOf(set: string): [string, Recording][] {
  const folder = join(golden!, 'storeapi', set);
  return readdirSync(folder).toSorted().map((file) => [file.replace(/\.json$/, ''), JSON.parse(readFileSync(join(folder, file), 'utf8')) as Recording]);
}

if (golden === undefined) test.skip('recordings are not on this machine (GAUNTLET_SHARED)', () => {});
else {
  describe.each(SETS)('recorded $name', ({ name, blocks, flags }) => {
    let gateway: TestGateway;
    beforeAll(async () => {
      gateway = await startTestGateway(join(golden, blocks), { flags });
    });
    afterAll(() => gateway.stop());

    test.each(recordingsOf(name))('%s', async (call, recording) => {
      const { status, answer } = await ask(gateway, recording);
      // The text of a decoder's complaint is its own.
      if (call === 'series-hints-broken') expect(status).toEqual({ code: 3, message: expect.stringMatching(/^unmarshal series request hints: /) });
      else expect(anyBlock(status)).toEqual(anyBlock(recording.status));
      expect(answer).toEqual(recorded(recording));
    });
  });

  test('every recording of a set is compared', () => {
    expect(SETS.map(({ name }) => recordingsOf(name).length)).toEqual([125, 8, 8, 3]);
  });

  describe('limits', () => {
    const limited = (set: string): [string, Recording, string][] => recordingsOf('store-limits').filter(([name]) => name.startsWith(set)).map(([name, recording]) => [name, recording, (recording as unknown as { note: string }).note]);
    test.each([...limited('series'), ...limited('samples'), ...limited('bytes')])('%s', async (_name, recording, flag) => {
      const gateway = await startTestGateway(join(golden, 'bucket/plain'), { flags: [flag] });
      try {
        const { status, answer } = await ask(gateway, recording);
        // Which block is refused first, and at how much, depends on the order of reads there. Fewer bytes are read here, so that the
        // limit on bytes may strike at another step.
        const shape = (text: string): string =>
          text.replace(/01M7[0-9A-Z]{22}/g, 'BLOCK').replace(/\(got \d+\)/, '(got N)').replace(/^.*exceeded bytes limit while [a-z ]+:/, 'exceeded bytes limit:');
        expect({ ...status, message: shape(status.message) }).toEqual({ code: recording.status.code, message: shape(recording.status.message) });
        expect(answer).toEqual(recorded(recording));
      } finally {
        await gateway.stop();
      }
    });
  });

  const extra = join(golden, 'index-header/extra-meta');
  (existsSync(extra) ? describe : describe.skip)('recorded store-extra', () => {
    let folder: string;
    let gateway: TestGateway;
    beforeAll(async () => {
      folder = mkdtempSync(join(tmpdir(), 'gauntlet-extra-'));
      const sources = new Map<string, string>();
      const walk = (path: string): void => {
        for (const entry of readdirSync(path, { withFileTypes: true })) {
          if (!entry.isDirectory()) continue;
          const inner = join(path, entry.name);
          if (existsSync(join(inner, 'index'))) sources.set(entry.name, inner);
          else walk(inner);
        }
      };
      walk(join(golden, 'tsdb'));
      for (const file of readdirSync(extra, { recursive: true, encoding: 'utf8' })) {
        const id = /[0-9A-Z]{26}/.exec(file)?.[0];
        if (id === undefined || !file.endsWith('.json')) continue;
        cpSync(sources.get(id)!, join(folder, id), { recursive: true });
        cpSync(join(extra, file), join(folder, id, 'meta.json'));
      }
      gateway = await startTestGateway(folder);
    });
    afterAll(async () => {
      await gateway.stop();
      rmSync(folder, { recursive: true, force: true });
    });
    test.each(recordingsOf('store-extra').filter(([name]) => name !== 'info'))('%s', async (_name, recording) => {
      const { status, answer } = await ask(gateway, recording);
      expect(status).toEqual({ code: recording.status.code, message: recording.status.message });
      expect(answer).toEqual(recorded(recording));
    });
    test('info announces all of what the blocks cover, where Thanos lets a short block hide the end of a long one before it', () => {
      const { tsdbInfos, ...rest } = gateway.store.info();
      expect(rest).toMatchObject({ mint: 1772409599300, maxt: 1772427540018, labelSets: [['set', 'tsdb']] });
      expect(tsdbInfos).toEqual([
        { labels: ['set', 'tsdb'], mint: 1772409599300, maxt: 1772423999638 },
        { labels: ['set', 'tsdb'], mint: 1772424000017, maxt: 1772427540018 },
      ]);
    });
  });
}
