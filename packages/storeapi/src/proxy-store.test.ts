/** What a proxy does when stores fail, stay silent, lie about order, or do not match. */
import { describe, expect, jest, test } from '@jest/globals';
import { createMatcher, type Labels } from '@gauntlet/model';
import {
  EMPTY_LABEL_NAMES_REQUEST,
  encodeLabelFields,
  encodeWarningFrame,
  MAX_TIME_MS,
  MIN_TIME_MS,
  PARTIAL_RESPONSE,
  type SeriesRequest,
  SeriesFrameEncoder,
} from '@gauntlet/proto';
import { createProxyStore, type ProxyEndpoint, type ProxyStoreOptions, type Store, StoreError, type StoreInfo } from './index.ts';
import { readSeries, seriesOf } from './testing/index.ts';

const ALL_TIME: StoreInfo = {
  labelSets: [],
  mint: MIN_TIME_MS,
  maxt: MAX_TIME_MS,
  storeType: 'store',
  supportsSharding: true,
  supportsWithoutReplicaLabels: true,
  tsdbInfos: [],
};

function frameOf(labels: Labels, ...chunks: [number, number, number][]): Uint8Array {
  const encoder = new SeriesFrameEncoder();
  encoder.beginSeries(encodeLabelFields(labels));
  for (const [mint, maxt, fill] of chunks) encoder.addChunk(mint, maxt, 1, new Uint8Array(4).fill(fill));
  return encoder.endSeries()!;
}

/** A store whose Series yields `frames` and then throws, waits for ever, or ends. */
function scripted(frames: readonly Uint8Array[], then: 'end' | 'wait' | StoreError = 'end', calls: SeriesRequest[] = []): Store {
  return {
    async *series(request) {
      calls.push(request);
      yield* frames;
      if (then instanceof StoreError) throw then;
      // Deaf to its signal, as a hung peer.
      if (then === 'wait') await new Promise(() => {});
    },
    labelNames: async () => {
      if (then instanceof StoreError) throw then;
      return { names: ['b', 'a'], warnings: ['careful'], hints: undefined };
    },
    labelValues: async () => {
      if (then instanceof StoreError) throw then;
      return { values: ['2', '1'], warnings: [], hints: undefined };
    },
    info: () => ALL_TIME,
  };
}

function proxy(stores: readonly Store[], infos: readonly Partial<StoreInfo>[] = [], options: Partial<ProxyStoreOptions> = {}): ReturnType<typeof createProxyStore> {
  const endpoints: ProxyEndpoint[] = stores.map((store, i) => ({ address: `10.0.0.${i}:10901`, info: { ...ALL_TIME, ...infos[i] }, store }));
  return createProxyStore({ endpoints: () => endpoints, ...options });
}

const WARN = { partialResponseStrategy: PARTIAL_RESPONSE.warn };
const UP: Labels = ['__name__', 'up', 'job', 'a'];
const DOWN = new StoreError('ERR_STORE_UNAVAILABLE', 'no route');

describe('a store that fails', () => {
  test('WARN: the others answer, the failure is a warning', async () => {
    const p = proxy([scripted([frameOf(UP, [1, 2, 3])]), scripted([], DOWN)], [{}, { labelSets: [['cluster', 'eu']], mint: 5 }]);
    const { series, warnings } = await readSeries(p.series(seriesOf(['__name__=up'], WARN)));
    expect(series).toHaveLength(1);
    expect(warnings).toEqual(['fetch series for {cluster="eu"} Addr: 10.0.0.1:10901 MinTime: 5 MaxTime: 9223372036854775807: no route']);
  });

  test('ABORT: the call ends with the status of the failure', async () => {
    const p = proxy([scripted([], DOWN)]);
    await expect(readSeries(p.series(seriesOf(['__name__=up'])))).rejects.toMatchObject({
      code: 'ERR_STORE_UNAVAILABLE',
      message: 'fetch series for Store Gateway Addr: 10.0.0.0:10901 MinTime: -9223372036854775808 MaxTime: 9223372036854775807: no route',
    });
  });

  test('after its first frame it is a failed receive, and Aborted', async () => {
    const p = proxy([scripted([frameOf(UP, [1, 2, 3])], DOWN)]);
    await expect(readSeries(p.series(seriesOf(['__name__=up'])))).rejects.toMatchObject({ code: 'ERR_STORE_ABORTED', message: expect.stringMatching(/^receive series from Addr: 10/) });
    const { series, warnings } = await readSeries(p.series(seriesOf(['__name__=up'], WARN)));
    expect([series.length, warnings.length]).toEqual([1, 1]);
  });

  test('partial_response_disabled of old clients means ABORT', async () => {
    const p = proxy([scripted([encodeWarningFrame('half of it')])]);
    await expect(readSeries(p.series(seriesOf(['__name__=up'], { ...WARN, partialResponseDisabled: true })))).rejects.toMatchObject({ code: 'ERR_STORE_ABORTED', message: 'half of it' });
    expect((await readSeries(p.series(seriesOf(['__name__=up'], WARN)))).warnings).toEqual(['half of it']);
  });

  test('one that breaks the order, or sends rubbish', async () => {
    const unsorted = scripted([frameOf(['a', '2'], [1, 2, 3]), frameOf(['a', '1'], [1, 2, 3])]);
    const rubbish = scripted([Uint8Array.of(0x0a, 9)]);
    const { series, warnings } = await readSeries(proxy([unsorted, rubbish]).series(seriesOf(['a=~.+'], WARN)));
    expect(series.map((s) => s.labels)).toEqual([['a', '2']]);
    expect(warnings.toSorted()).toEqual([
      expect.stringMatching(/^receive series from Addr: 10.0.0.0:.*: series are not sorted by labels: \{a="1"\} came too late$/),
      expect.stringMatching(/^receive series from Addr: 10.0.0.1:.*: read protobuf: message ends inside a field/),
    ]);
  });

  test('label calls', async () => {
    const request = { ...EMPTY_LABEL_NAMES_REQUEST, ...WARN };
    const p = proxy([scripted([]), scripted([], DOWN)]);
    const text = 'from store Addr: 10.0.0.1:10901 MinTime: -9223372036854775808 MaxTime: 9223372036854775807: no route';
    expect(await p.labelNames(request)).toEqual({ names: ['a', 'b'], warnings: ['careful', `fetch label names ${text}`], hints: undefined });
    expect(await p.labelValues({ ...request, label: 'x', limit: 1 })).toEqual({ values: ['1'], warnings: [`fetch label values ${text}`], hints: undefined });
    await expect(p.labelNames({ ...request, partialResponseStrategy: PARTIAL_RESPONSE.abort })).rejects.toMatchObject({ code: 'ERR_STORE_UNAVAILABLE', message: `fetch label names ${text}` });
  });
});

describe('a store that stays silent', () => {
  test('is given up after the response timeout; the others are not', async () => {
    jest.useFakeTimers();
    try {
      const select = proxy([scripted([frameOf(UP, [1, 2, 3])], 'wait'), scripted([frameOf(UP, [3, 4, 5])])], [], { responseTimeoutMs: 1500 }).select(seriesOf(['__name__=up'], WARN));
      const batches = (async () => {
        let chunks = 0;
        for await (const batch of select.batches) chunks += batch.sourceOffsets[batch.seriesCount]!;
        return chunks;
      })();
      await jest.advanceTimersByTimeAsync(1499);
      expect(select.warnings).toEqual([]);
      await jest.advanceTimersByTimeAsync(1);
      expect(await batches).toBe(2);
      expect(select.warnings).toEqual([expect.stringMatching(/^failed to receive any data in 1s500ms from Addr: 10.0.0.0:.*: context canceled$/)]);
      expect(select.stores.map((s) => [s.address, s.status, s.frames])).toEqual([
        ['10.0.0.0:10901', 'silent', 1],
        ['10.0.0.1:10901', 'complete', 1],
      ]);
      expect(jest.getTimerCount()).toBe(0);
    } finally {
      jest.useRealTimers();
    }
  });

  test('without a timeout an abort ends it, and stops every stream', async () => {
    const abort = new AbortController();
    const read = readSeries(proxy([scripted([], 'wait'), scripted([], 'wait')]).series(seriesOf(['__name__=up'], WARN), { signal: abort.signal }));
    abort.abort();
    await expect(read).rejects.toMatchObject({ name: 'AbortError' });
  });
});

describe('memory', () => {
  test('everything charged is given back, at the end and when left early', async () => {
    const frames = Array.from({ length: 600 }, (_, i) => frameOf(['n', String(i).padStart(4, '0')], [1, 2, 3]));
    for (const stopAfter of [Infinity, 1]) {
      let charged = 0;
      const charge = { reserve: (n: number) => void (charged += n), release: (n: number) => void (charged -= n) };
      const select = proxy([scripted(frames), scripted(frames)]).select(seriesOf(['n=~.+']), { charge });
      let batches = 0;
      for await (const batch of select.batches) {
        expect(batch.seriesCount).toBeGreaterThan(0);
        expect(charged).toBeGreaterThan(0);
        if (++batches === stopAfter) break;
      }
      expect(charged).toBe(0);
    }
  });

  test('a refused charge ends the call with its own error, under WARN too', async () => {
    class LedgerError extends Error {}
    const charge = {
      reserve: () => {
        throw new LedgerError('too much');
      },
      release: () => {},
    };
    const select = proxy([scripted([frameOf(UP)])]).select(seriesOf(['__name__=up'], WARN), { charge });
    await expect((async () => { for await (const _ of select.batches); })()).rejects.toBeInstanceOf(LedgerError);
  });

  test('lazy retrieval stops the stream at its buffer', async () => {
    let yielded = 0;
    const frame = frameOf(UP, [1, 2, 3]);
    const endless: Store = {
      ...scripted([]),
      async *series() {
        for (;;) {
          yielded++;
          yield frame;
        }
      },
    };
    const abort = new AbortController();
    const select = proxy([endless, scripted([], 'wait')], [], { retrieval: 'lazy', lazyBufferBytesMax: frame.length * 10 }).select(seriesOf(['__name__=up'], WARN), { signal: abort.signal });
    for (let i = 0; i < 200; i++) await Promise.resolve();
    expect(yielded).toBe(10);
    const read = (async () => { for await (const _ of select.batches); })();
    abort.abort();
    await expect(read).rejects.toMatchObject({ name: 'AbortError' });
    for (let i = 0; i < 200; i++) await Promise.resolve();
    expect(yielded).toBeLessThan(30);
  });
});

describe('selection', () => {
  const asked = async (infos: readonly Partial<StoreInfo>[], matchers: readonly string[], storeMatchers?: ReturnType<typeof createMatcher>[][]): Promise<number[]> => {
    const calls = infos.map((): SeriesRequest[] => []);
    const p = proxy(infos.map((_, i) => scripted([], 'end', calls[i])), infos);
    await readSeries(p.series(seriesOf(matchers, { minTime: 100, maxTime: 200 }), storeMatchers === undefined ? {} : { storeMatchers }));
    return calls.flatMap((list, i) => (list.length > 0 ? [i] : []));
  };

  test('by time, both ends inclusive', async () => {
    expect(await asked([{ maxt: 99 }, { maxt: 100 }, { mint: 200 }, { mint: 201 }, {}], ['a=b'])).toEqual([1, 2, 4]);
  });

  test('by external labels: only a contradiction rules out', async () => {
    const infos = [{ labelSets: [['a', '1']] }, { labelSets: [['a', '2']] }, { labelSets: [] }, { labelSets: [['a', '2'], ['a', '1']] }, { labelSets: [['b', '1']] }];
    expect(await asked(infos, ['a=1'])).toEqual([0, 2, 3, 4]);
    expect(await asked(infos, ['a='])).toEqual([2, 4]);
  });

  test('by address', async () => {
    const on = (value: string): ReturnType<typeof createMatcher>[] => [createMatcher('=', '__address__', value)];
    expect(await asked([{}, {}, {}], ['a=b'], [on('10.0.0.1:10901'), on('10.0.0.2:10901')])).toEqual([1, 2]);
    expect(await asked([{}, {}], ['a=b'], [[createMatcher('=', 'cluster', 'x')]])).toEqual([0, 1]);
  });

  test('no store at all: empty, or an error under ABORT', async () => {
    await expect(readSeries(proxy([]).series(seriesOf(['a=b'])))).rejects.toMatchObject({ code: 'ERR_STORE_UNKNOWN', message: 'No StoreAPIs available' });
    expect(await readSeries(proxy([]).series(seriesOf(['a=b'], WARN)))).toEqual({ series: [], warnings: [], frameSizes: [] });
    expect(await readSeries(proxy([scripted([])], [{ maxt: 0 }]).series(seriesOf(['a=b'])))).toEqual({ series: [], warnings: [], frameSizes: [] });
  });

  test('selector labels decide first and are not sent on', async () => {
    const calls: SeriesRequest[] = [];
    const p = proxy([scripted([], 'end', calls)], [], { selectorLabels: ['region', 'west'] });
    await readSeries(p.series(seriesOf(['region=west', 'a=b'])));
    await readSeries(p.series(seriesOf(['region=east', 'a=b'])));
    expect(calls.map((c) => c.matchers.map((m) => m.name))).toEqual([['a']]);
    expect(p.info().labelSets).toEqual([['region', 'west']]);
  });

  test('what is sent on', async () => {
    const calls: SeriesRequest[] = [];
    const request = seriesOf(['a=b'], { maxResolutionWindow: 5, aggregates: [1], limit: 3, responseBatchSize: 7, step: 1, range: 2, hints: { typeUrl: 'x', value: new Uint8Array(1) } });
    await readSeries(proxy([scripted([], 'end', calls)]).series(request));
    expect(calls).toEqual([{ ...request, step: 0, range: 0, hints: undefined }]);
  });
});

test('info covers all stores', () => {
  const p = proxy([scripted([]), scripted([]), scripted([])], [{ mint: 5, maxt: 9, labelSets: [['a', '1']] }, { mint: 3, maxt: 7, labelSets: [['a', '1']] }, { mint: 4, maxt: 8, labelSets: [['a', '2']] }]);
  expect(p.info()).toMatchObject({ mint: 3, maxt: 9, labelSets: [['a', '1'], ['a', '2']], storeType: 'query' });
  expect(proxy([]).info()).toMatchObject({ mint: MIN_TIME_MS, maxt: MAX_TIME_MS, labelSets: [] });
});
