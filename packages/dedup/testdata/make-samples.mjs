/** Distils recorded query exchanges into samples.json: node make-samples.mjs <folder with query/ and query-chain/>. */
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const [root] = process.argv.slice(2);
const result = (folder, name) => JSON.parse(JSON.parse(readFileSync(join(root, folder, `${name}.json`), 'utf8')).text).data.result;
const columns = (series) => (series.values ?? []).map(([seconds, value]) => [Math.round(seconds * 1000), value]);

/**
 * `increase(selector[range])` at the same time over the same selector, if it was recorded. Not for the gauge of `window-end`: it falls all the
 * time, so its running totals depend on samples before the query's range, which were not recorded.
 */
function readIncrease(name) {
  const path = join(root, 'query', `dedup-increase-${name}.json`);
  if (name === 'window-end' || !existsSync(path)) return undefined;
  const param = (exchange, key) => exchange.request.params.find(([k]) => k === key)[1];
  const recorded = JSON.parse(readFileSync(path, 'utf8'));
  const samples = JSON.parse(readFileSync(join(root, 'query', `dedup-samples-${name}.json`), 'utf8'));
  if (param(recorded, 'query') !== `increase(${param(samples, 'query')})`) return undefined;
  const [, count, unit] = /\[(\d+)([hm])\]/.exec(param(recorded, 'query'));
  const [, value] = JSON.parse(recorded.text).data.result[0].value;
  return { atMs: Math.round(Number(param(recorded, 'time')) * 1000), rangeMs: Number(count) * (unit === 'h' ? 3600000 : 60000), value };
}

const cases = [];
for (const file of readdirSync(join(root, 'query')).filter((name) => /^dedup-samples-.*-off\.json$/.test(name) && !name.includes('hist'))) {
  const name = file.slice('dedup-samples-'.length, -'-off.json'.length);
  const replicas = result('query', `dedup-samples-${name}-off`).toSorted((a, b) => (a.metric.replica < b.metric.replica ? -1 : 1));
  const [penalty] = result('query', `dedup-samples-${name}`);
  const [chain] = result('query-chain', `dedup-samples-${name}`);
  const increase = readIncrease(name);
  cases.push({ name, replicas: replicas.map(columns), penalty: columns(penalty), chain: columns(chain), ...(increase && { increase }) });
}
writeFileSync(new URL('samples.json', import.meta.url), `[\n${cases.map((entry) => ` ${JSON.stringify(entry)}`).join(',\n')}\n]\n`);
