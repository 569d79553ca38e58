/** Templates of `tools bucket ls`. Texts on the right are what the thanos binary printed for the same meta. */
import { describe, expect, test } from '@jest/globals';
import { createThanosSection, type ThanosMeta } from '@gauntlet/block';
import { compileBlockTemplate } from './ls-template.ts';

const meta: ThanosMeta = {
  ulid: '01M7YH9CYR0BK5NASFN3C16G6B',
  minTime: 1000,
  maxTime: 2000,
  stats: { numSamples: 1916, numFloatSamples: 1742, numHistogramSamples: 174, numSeries: 13, numChunks: 20 },
  compaction: { level: 2, sources: ['01M7YH8PRB5EGPCY8YH5HQN37B', '01M7YH8X1P7K3JD1HWK42GKJVN'], parents: [{ ulid: '01M7YH8PRB5EGPCY8YH5HQN37B', minTime: 1, maxTime: 2 }] },
  version: 1,
  thanos: createThanosSection({
    labels: ['cluster', 'eu', 'constructor', 'c', 'replica', 'a'],
    source: 'compactor',
    files: [{ relPath: 'index', sizeBytes: 27445 }, { relPath: 'meta.json' }],
    segmentFiles: ['000001'],
    uploadTime: '2026-11-21T07:49:14.85Z',
  }),
};

test.each<[template: string, text: string]>([
  ['', ''],
  ['plain', 'plain'],
  ['{{.ULID}} {{.MinTime}} {{.Thanos.Downsample.Resolution}}', '01M7YH9CYR0BK5NASFN3C16G6B 1000 0'],
  ['a {{- .MinTime -}} b', 'a1000b'],
  ['{{ .MinTime }}{{/* a comment }} */ -}}  x', '1000x'],
  ['{{"x }} \\u00e9"}}{{`z`}}', 'x }} éz'],
  ['{{.Stats}} {{.Stats.NumTombstones}}', '{1916 1742 174 13 20 0} 0'],
  ['{{.Compaction.Sources}}', '[01M7YH8PRB5EGPCY8YH5HQN37B 01M7YH8X1P7K3JD1HWK42GKJVN]'],
  ['{{.Compaction.Parents}} {{.Compaction.Failed}} {{.Compaction.Hints}}', '[{01M7YH8PRB5EGPCY8YH5HQN37B 1 2}] false []'],
  ['{{.Thanos.Labels}}', 'map[cluster:eu constructor:c replica:a]'],
  ['{{.Thanos.Labels.cluster}}|{{.Thanos.Labels.constructor}}|{{.Thanos.Labels.toString}}', 'eu|c|<no value>'],
  ['{{.Thanos.UploadTime}}', '2026-11-21 07:49:14.85 +0000 UTC'],
  ['{{.Thanos.Files}}', '[{index 27445 <nil>} {meta.json 0 <nil>}]'],
  ['{{.Thanos.Extensions}}', '<no value>'],
  ['{{.}}', '01M7YH9CYR0BK5NASFN3C16G6B (min time: 1000, max time: 2000)'],
])('%s', (template, text) => expect(compileBlockTemplate(template)(meta)).toBe(text));

test('a block that says nothing of its upload', () => {
  expect(compileBlockTemplate('{{.Thanos.UploadTime}}')({ ...meta, thanos: createThanosSection({}) })).toBe('0001-01-01 00:00:00 +0000 UTC');
});

describe('refused before anything is listed', () => {
  test.each<[template: string, what: string]>([
    ['{{.ULID', 'unclosed action'],
    ['{{"a}}', 'unclosed action'],
    ['{{}}', 'missing value for command'],
    ['{{.Uild}}', 'no field Uild in . (there are ULID, MinTime, MaxTime, Stats, Compaction, Version, Thanos)'],
    ['{{.Stats.NumSerie}}', 'no field NumSerie in .Stats, did you mean NumSeries? (there are NumSamples, NumFloatSamples, NumHistogramSamples, NumSeries, NumChunks, NumTombstones)'],
    ['{{.__proto__}}', 'no field __proto__ in . (there are ULID, MinTime, MaxTime, Stats, Compaction, Version, Thanos)'],
    ['{{.MinTime.x}}', '.MinTime has no fields, got .x'],
    ['{{if .ULID}}x{{end}}', '{{if}} cannot be used; there are {{.Field}}, {{.Field.Field}} and text (see docs/components/tools.md)'],
    ['{{printf "%s" .ULID}}', 'function "printf" cannot be used; there are {{.Field}}, {{.Field.Field}} and text (see docs/components/tools.md)'],
    ['{{.ULID | printf "%s"}}', 'pipelines cannot be used; there are {{.Field}}, {{.Field.Field}} and text (see docs/components/tools.md)'],
    ['{{$x := 1}}', 'variables cannot be used; there are {{.Field}}, {{.Field.Field}} and text (see docs/components/tools.md)'],
    ['{{index .Thanos.Labels "x"}}', 'function "index" cannot be used; there are {{.Field}}, {{.Field.Field}} and text (see docs/components/tools.md)'],
  ])('%s', (template, what) => {
    expect(() => compileBlockTemplate(template)).toThrow(expect.objectContaining({ code: 'ERR_TOOL_TEMPLATE', message: `read template ${JSON.stringify(template)}: ${what}` }));
  });

  test('files with hashes are addresses in Go', () => {
    const hashed = { ...meta, thanos: { ...meta.thanos, files: [{ relPath: 'index', sizeBytes: 1, hash: { func: 'SHA256' as const, value: 'ab' } }] } };
    expect(() => compileBlockTemplate('{{.Thanos.Files}}')(hashed)).toThrow('.Thanos.Files cannot be printed as text; use --output=json');
  });
});
