import { labelsFromMap } from '@gauntlet/model';
import { createMetrics, createNopLogger, type Logger } from '@gauntlet/service-kit';
import { expect, test } from '@jest/globals';
import { createDuplicateWatch, duplicateAddresses } from './duplicate-rulers.ts';
import type { KnownStore } from './query-clients.ts';

const OWN = labelsFromMap({ region: 'eu', replica: '0' });
const ruler = (name: string, labels: Record<string, string> = { region: 'eu', replica: '0' }, more: Partial<KnownStore> = {}): KnownStore => ({ name, component: 'rule', isUp: true, labelSets: [labelsFromMap(labels)], ...more });

test.each([
  { name: 'this ruler alone', stores: [[ruler('a:1')]], wanted: ['a:1'] },
  { name: 'a twin', stores: [[ruler('b:1'), ruler('a:1')]], wanted: ['a:1', 'b:1'] },
  { name: 'another label', stores: [[ruler('a:1'), ruler('b:1', { region: 'eu', replica: '1' })]], wanted: ['a:1'] },
  { name: 'one that is down: this one before it moved', stores: [[ruler('a:1'), ruler('b:1', undefined, { isUp: false })]], wanted: ['a:1'] },
  { name: 'another component', stores: [[ruler('a:1'), ruler('b:1', undefined, { component: 'sidecar' })]], wanted: ['a:1'] },
  { name: 'names differ between queriers: the larger view counts', stores: [[ruler('a:1')], [ruler('10.0.0.1:1'), ruler('10.0.0.2:1')]], wanted: ['10.0.0.1:1', '10.0.0.2:1'] },
  { name: 'the same name twice is one', stores: [[ruler('a:1'), ruler('a:1')]], wanted: ['a:1'] },
  { name: 'nothing', stores: [], wanted: [] },
])('$name', ({ stores, wanted }) => expect(duplicateAddresses(stores, OWN)).toEqual(wanted));

test('warns once per change, with both addresses, and counts', async () => {
  const lines: string[] = [];
  const log: Logger = { ...createNopLogger(), warn: (message, fields) => void lines.push(`${message} ${JSON.stringify(fields)}`), info: (message) => void lines.push(message) };
  const metrics = createMetrics();
  let stores = [[ruler('a:1'), ruler('b:1')]];
  const look = createDuplicateWatch({ log, metrics, externalLabels: OWN, stores: async () => stores });
  const gauge = async (): Promise<number> => (await metrics.registry.snapshot())[0]!.samples[0]!.value;
  await look(new AbortController().signal);
  await look(new AbortController().signal);
  expect(lines).toHaveLength(1);
  expect(lines[0]).toContain('a:1, b:1');
  expect(await gauge()).toBe(1);
  stores = [[ruler('a:1')]];
  await look(new AbortController().signal);
  expect(lines).toHaveLength(2);
  expect(await gauge()).toBe(0);
});
