/**
 * A Prometheus for tests: a real HTTP server on loopback whose database is a list of series. It merges its external labels as
 * Prometheus does (the series' own win), takes `{a="b"}` selectors, and speaks remote read in both ways.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { compareUtf8, snappyDecode, snappyEncode } from '@gauntlet/bytes';
import { type ChunkSeries, compareLabels, createMatcher, extendLabels, getLabel, type Labels, labelsToObject, type Matcher, type MatchType } from '@gauntlet/model';
import { encodeChunkedFrame, field, type Label, label, message, READ_RESPONSE_TYPE, type ReadQuery, readRequest, repeated } from '@gauntlet/proto';

/** What the server says; change it between calls. */
export interface FakeState {
  externalLabels: Record<string, string>;
  version: string;
  flags: Record<string, string>;
  lowestTimestampSeconds: number;
  /** Status for every call, if not 0. */
  failWith: number;
  /** Answer remote reads with samples: `[timestamp, value]` per series, same order as the series. */
  samples: readonly (readonly (readonly [number, number])[])[] | undefined;
}

/** A running fake. */
export interface FakePrometheus {
  readonly url: URL;
  readonly state: FakeState;
  /** Requests so far: method, path with query (decoded). */
  readonly requests: string[];
  /** Takes over requests before anything else; true when it answered. */
  intercept: ((request: IncomingMessage, response: ServerResponse) => boolean) | undefined;
  close(): Promise<void>;
}

interface ChunkMessage {
  readonly min: number;
  readonly max: number;
  readonly type: number;
  readonly data: Uint8Array;
}
interface SeriesMessage {
  readonly labels: readonly Label[];
  readonly chunks: readonly ChunkMessage[];
}
const chunkedReadResponse = message<{ readonly series: readonly SeriesMessage[]; readonly queryIndex: number }>({
  series: repeated(
    1,
    message<SeriesMessage>({
      labels: repeated(1, label),
      chunks: repeated(2, message<ChunkMessage>({ min: field(1, 'int64'), max: field(2, 'int64'), type: field(3, 'int32'), data: field(4, 'bytes') })),
    }),
  ),
  queryIndex: field(2, 'int64'),
});
interface Sample {
  readonly value: number;
  readonly timestamp: number;
}
interface SampledSeries {
  readonly labels: readonly Label[];
  readonly samples: readonly Sample[];
}
const readResponse = message<{ readonly results: readonly { readonly series: readonly SampledSeries[] }[] }>({
  results: repeated(
    1,
    message<{ readonly series: readonly SampledSeries[] }>({
      series: repeated(1, message<SampledSeries>({ labels: repeated(1, label), samples: repeated(2, message<Sample>({ value: field(1, 'double'), timestamp: field(2, 'int64') })) })),
    }),
  ),
});

const MATCH_TYPES: readonly MatchType[] = ['=', '!=', '=~', '!~'];

/** Starts one over `series`, sorted by labels. */
export async function startFakePrometheus(series: readonly ChunkSeries[], initial: Partial<FakeState> = {}): Promise<FakePrometheus> {
  const state: FakeState = {
    externalLabels: { cluster: 'eu', replica: 'a' },
    version: '3.14.0',
    flags: { 'storage.tsdb.min-block-duration': '2h', 'storage.tsdb.max-block-duration': '2h' },
    lowestTimestampSeconds: 0,
    failWith: 0,
    samples: undefined,
    ...initial,
  };
  const requests: string[] = [];
  const server = createServer((request, response) => {
    requests.push(`${request.method} ${decodeURIComponent((request.url ?? '').replaceAll('+', ' '))}`);
    if (fake.intercept?.(request, response) === true) return;
    void answer(request, response).catch((error: unknown) => {
      response.statusCode = 500;
      response.end(String(error));
    });
  });

  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const url = new URL(request.url ?? '', 'http://x');
    if (state.failWith !== 0) {
      response.statusCode = state.failWith;
      response.end('broken on purpose');
      return;
    }
    const json = (data: unknown): void => {
      response.setHeader('content-type', 'application/json');
      response.end(JSON.stringify({ status: 'success', data }));
    };
    switch (url.pathname) {
      case '/api/v1/status/config':
        return json({ yaml: `global:\n  scrape_interval: 15s\n  external_labels: ${JSON.stringify(state.externalLabels)}\n` });
      case '/api/v1/status/buildinfo':
        return json({ version: state.version });
      case '/api/v1/status/flags':
        return json(state.flags);
      case '/metrics':
        response.end(`# TYPE x gauge\nprometheus_tsdb_lowest_timestamp_seconds ${state.lowestTimestampSeconds}\n`);
        return;
      case '/-/reload':
        response.end();
        return;
      case '/api/v1/read':
        return answerRead(await readBody(request), response);
    }
    const selected = select(selectorMatchers(url.searchParams), Number(url.searchParams.get('start') ?? -1e300) * 1000, Number(url.searchParams.get('end') ?? 1e300) * 1000).map((s) => s.labels);
    const limited = <T>(values: T[]): T[] => values.slice(0, Number(url.searchParams.get('limit') ?? 0) || undefined);
    const sorted = (values: string[]): string[] => limited([...new Set(values)].toSorted(compareUtf8));
    if (url.pathname === '/api/v1/series') return json(limited(selected.toReversed()).map((labels) => labelsToObject(labels)));
    if (url.pathname === '/api/v1/labels') return json(sorted(selected.flatMap((labels) => labels.filter((_, i) => i % 2 === 0))));
    const name = /^\/api\/v1\/label\/(.+)\/values$/.exec(url.pathname)?.[1];
    if (name !== undefined) return json(sorted(selected.map((labels) => getLabel(labels, decodeURIComponent(name))).filter((value) => value !== '')));
    response.statusCode = 404;
    response.end();
  };

  const select = (matchers: readonly Matcher[], mint: number, maxt: number): ChunkSeries[] =>
    series
      .filter((s) => matchers.every((m) => m.matches(getLabel(s.labels, m.name))))
      .map((s) => ({ labels: s.labels, chunks: s.chunks.filter((c) => c.maxt >= mint && c.mint <= maxt) }))
      .filter((s) => s.chunks.length > 0);

  const answerRead = (body: Uint8Array, response: ServerResponse): void => {
    const request = readRequest.decode(snappyDecode(body));
    const query: ReadQuery = request.queries[0]!;
    const matchers = query.matchers.map((m) => createMatcher(MATCH_TYPES[m.type]!, m.name, m.value));
    const external = Object.entries(state.externalLabels).flat();
    // The series' own label wins, as in Prometheus.
    const merged = (labels: Labels): Label[] => pairs(extendLabels(external.length === 0 ? [] : sortPairs(external), labels));
    if (state.samples !== undefined) {
      const found = series.flatMap((s, i) => (matchers.every((m) => m.matches(getLabel(s.labels, m.name))) ? [{ labels: merged(s.labels), samples: state.samples![i]!.map(([timestamp, value]) => ({ timestamp, value })) }] : []));
      response.setHeader('content-type', 'application/x-protobuf');
      response.end(snappyEncode(readResponse.encode({ results: [{ series: found }] })));
      return;
    }
    if (request.acceptedResponseTypes[0] !== READ_RESPONSE_TYPE.streamedXorChunks) throw new Error('streamed chunks are not accepted');
    response.setHeader('content-type', 'application/x-streamed-protobuf; proto=prometheus.ChunkedReadResponse');
    for (const s of select(matchers, query.startMs, query.endMs)) {
      const chunks = s.chunks.map((c) => ({ min: c.mint, max: c.maxt, type: c.encoding, data: c.data }));
      // Large series come in several frames.
      for (let i = 0; i < chunks.length; i += 2) {
        response.write(encodeChunkedFrame(chunkedReadResponse.encode({ series: [{ labels: merged(s.labels), chunks: chunks.slice(i, i + 2) }], queryIndex: 0 })));
      }
    }
    response.end();
  };

  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const fake: FakePrometheus = {
    url: new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}`),
    state,
    requests,
    intercept: undefined,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
  return fake;
}

function pairs(labels: Labels): Label[] {
  return Array.from({ length: labels.length / 2 }, (_, i) => ({ name: labels[2 * i]!, value: labels[2 * i + 1]! }));
}

function sortPairs(flat: readonly string[]): Labels {
  return pairs(flat)
    .toSorted((a, b) => compareLabels([a.name], [b.name]))
    .flatMap((l) => [l.name, l.value]);
}

/** Matchers of a `match[]` parameter in the one form the sidecar writes. */
function selectorMatchers(params: URLSearchParams): Matcher[] {
  const text = params.get('match[]');
  if (text === null) return [];
  const out: Matcher[] = [];
  for (const [, name, type, value] of text.slice(1, -1).matchAll(/("?[^"=!~, ]+"?)(=~|!~|!=|=)("(?:[^"\\]|\\.)*")/g)) {
    out.push(createMatcher(type as MatchType, name!.replaceAll('"', ''), JSON.parse(value!) as string));
  }
  return out;
}

async function readBody(request: IncomingMessage): Promise<Uint8Array> {
  const pieces: Buffer[] = [];
  for await (const piece of request as AsyncIterable<Buffer>) pieces.push(piece);
  return Buffer.concat(pieces);
}
