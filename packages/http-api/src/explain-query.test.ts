/** Explained and analyzed queries over HTTP, against what Thanos answers where that can be compared. */
import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { createMemoryQueryable } from '@gauntlet/promql/testing';
import { labelsFromPairs } from '@gauntlet/model';
import { type ApiServer, startApiServer } from './testing/index.ts';
import type { QueryAnalysisJson, QueryExplanationJson } from './types.ts';

const golden = join(process.env['GAUNTLET_SHARED'] ?? resolve(import.meta.dirname, '../../../../shared'), 'golden/http-api/query');

interface Recording {
  readonly request: { readonly path: string; readonly params: readonly (readonly [string, string | number])[] };
  readonly status: number;
  readonly text: string;
}

const recording = (name: string): Recording => JSON.parse(readFileSync(join(golden, `${name}.json`), 'utf8')) as Recording;
const urlOf = ({ request }: Recording): string => `${request.path}?${new URLSearchParams(request.params.map(([name, value]) => [name, String(value)])).toString()}`;

interface Operator {
  readonly name?: string;
  readonly children?: readonly Operator[];
}

/** Without what Thanos' engine has for its goroutines. */
function operators({ name = '', children = [] }: Operator): Operator {
  if (/^\[(concurrent|duplicateLabelCheck|coalesce)/.test(name)) return operators(children[0]!);
  return children.length === 0 ? { name } : { name, children: children.map(operators) };
}

describe('explain and analyze', () => {
  let server: ApiServer;
  const get = async (path: string): Promise<{ status: number; body: { data?: unknown; error?: string; errorType?: string } }> => {
    const response = await fetch(`${server.url}${path.startsWith('/') ? path : `/api/v1/${path}`}`);
    return { status: response.status, body: (await response.json()) as { data?: unknown; error?: string } };
  };

  beforeAll(async () => {
    const timestampsMs = Float64Array.from({ length: 100 }, (_none, i) => 1_776_900_000_000 + i * 30_000);
    const series = ['200', '500'].map((code) => ({ labels: labelsFromPairs([['__name__', 'http_requests_total'], ['code', code]]), timestampsMs, values: timestampsMs.map((_t, i) => i) }));
    server = await startApiServer({ queryable: createMemoryQueryable(series) });
  });
  afterAll(() => server.close());

  (existsSync(golden) ? describe : describe.skip)('as recorded from Thanos (needs ../shared/golden)', () => {
    test.each(['query-explain-thanos', 'query-range-explain-thanos'])('%s has the same operators', async (name) => {
      const recorded = recording(name);
      const { status, body } = await get(urlOf(recorded));
      expect(status).toBe(recorded.status);
      expect(operators(body.data as Operator)).toEqual(operators((JSON.parse(recorded.text) as { data: Operator }).data));
    });

    test('query-explain-prometheus is refused with the same words', async () => {
      const recorded = recording('query-explain-prometheus');
      const { status, body } = await get(urlOf(recorded));
      expect(status).toBe(recorded.status);
      expect(body).toEqual(JSON.parse(recorded.text));
    });

    test('query-param-analyze has the same operators and the members of Thanos first', async () => {
      const recorded = recording('query-param-analyze');
      const { body } = await get(urlOf(recorded));
      const { analysis } = body.data as { analysis: QueryAnalysisJson };
      const want = (JSON.parse(recorded.text) as { data: { analysis: QueryAnalysisJson } }).data.analysis;
      expect(operators(analysis)).toEqual(operators(want));
      expect(Object.keys(analysis).slice(0, 4)).toEqual(Object.keys(want).slice(0, 4));
    });
  });

  test('notes say what planning decided', async () => {
    const { body } = await get('query_explain?engine=thanos&query=sum(rate(http_requests_total[5m]))');
    expect(body.data as QueryExplanationJson).toEqual({
      name: '[aggregate] sum by ([])',
      notes: ['takes the scan'],
      children: [{ name: '[matrixSelector] rate({[__name__="http_requests_total"]}[5m0s] 0 mod 1)', notes: ['hints: rate 5m', 'needs __name__'] }],
    });
  });

  test('an analyzed query has figures of each operator', async () => {
    const { body } = await get('query_range?query=sum(rate(http_requests_total[5m]))&start=1776901000&end=1776901600&step=60&analyze=true&engine=thanos');
    const { analysis } = body.data as { analysis: QueryAnalysisJson };
    expect(analysis).toMatchObject({ name: '[aggregate] sum by ([])', series: 1, samplesIn: 22, samplesOut: 11, totalSamples: 220 });
    expect(analysis.executionTime).toMatch(/^[\d.]+[µm]?s$/);
    expect(analysis.children![0]).toMatchObject({ series: 2, samplesIn: 60, samplesOut: 22, totalSamples: 220 });
    expect(analysis.children![0]!.peakBytes).toBeGreaterThan(0);
  });

  test.each([
    ['query_explain?query=up', "engine type must be 'thanos'"],
    ['query_explain?query=up&engine=magic', "'magic' bad engine"],
    // The engine comes first.
    ['query_range_explain?query=up&engine=prometheus&start=x', "engine type must be 'thanos'"],
    ['query_range_explain?query=up&engine=thanos&start=5&end=1&step=1', 'end timestamp must not be before start time'],
    ['query_explain?query=sum(&engine=thanos', '1:5: parse error: unclosed left parenthesis'],
    ['query_range_explain?query=up[5m]&engine=thanos&start=1&end=5&step=1', 'invalid expression type "range vector" for range query, must be Scalar or instant Vector'],
  ])('%s is refused', async (path, error) => {
    const { status, body } = await get(path);
    expect([status, body]).toEqual([400, { status: 'error', errorType: 'bad_data', error }]);
  });
});
