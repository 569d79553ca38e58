/** Alerting rules by state, each with its active alerts: labels, annotations, since when, value. */
import { Accordion, Chip, Group, Stack, Table, Text, Title } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { type ReactNode, useDeferredValue, useState } from 'react';
import type { AlertJson } from '@gauntlet/http-api/types';
import { listRules, refetchMs } from '../api/client.ts';
import { Notices } from '../components/notices.tsx';
import { Annotations, Capped, ExpressionLink, FilterInput, LabelBadges, NoRules, STATE_COLORS, StateBadge } from '../components/rule-parts.tsx';
import { ALERT_STATES, type AlertState, agoText, countStates, filterAlertingRules, type PlacedAlertingRule, secondsText, valueText } from '../lib/rules.ts';

const RULES_MAX = 100;
const ALERTS_MAX = 50;

const keyOf = ({ group, rule }: PlacedAlertingRule): string => JSON.stringify([group.file, group.name, rule.name, rule.query, rule.labels, rule.duration]);

function AlertTable({ alerts, nowMs }: { readonly alerts: readonly AlertJson[]; readonly nowMs: number }): ReactNode {
  return (
    <Capped items={alerts} max={ALERTS_MAX} what="alerts">
      {(shown) => (
        <Table.ScrollContainer minWidth={680}>
          <Table className="top-aligned" verticalSpacing="xs" layout="fixed">
            <Table.Thead>
              <Table.Tr>
                <Table.Th>Alert</Table.Th>
                <Table.Th w={110}>State</Table.Th>
                <Table.Th w={150}>Active since</Table.Th>
                <Table.Th w={150}>Value</Table.Th>
              </Table.Tr>
            </Table.Thead>
            <Table.Tbody>
              {shown.map((alert, i) => (
                <Table.Tr key={`${i} ${JSON.stringify(alert.labels)}`}>
                  <Table.Td>
                    <Stack gap={6}>
                      <LabelBadges labels={alert.labels} />
                      <Annotations annotations={alert.annotations} />
                    </Stack>
                  </Table.Td>
                  <Table.Td><StateBadge state={alert.state} /></Table.Td>
                  <Table.Td title={alert.activeAt}>{alert.activeAt === undefined ? '—' : agoText(alert.activeAt, nowMs)}</Table.Td>
                  <Table.Td className="series-name" title={alert.value}>{valueText(alert.value)}</Table.Td>
                </Table.Tr>
              ))}
            </Table.Tbody>
          </Table>
        </Table.ScrollContainer>
      )}
    </Capped>
  );
}

function AlertingRule({ placed, nowMs }: { readonly placed: PlacedAlertingRule; readonly nowMs: number }): ReactNode {
  const { group, rule } = placed;
  const facts = [`group ${group.name}`, group.file, rule.duration > 0 ? `for ${secondsText(rule.duration)}` : '', rule.keepFiringFor > 0 ? `keep firing for ${secondsText(rule.keepFiringFor)}` : ''];
  return (
    <Accordion.Item value={keyOf(placed)}>
      <Accordion.Control>
        <Group gap="sm">
          <StateBadge state={rule.state} />
          <Text span fw={600} style={{ overflowWrap: 'anywhere' }}>{rule.name}</Text>
          {rule.alerts.length > 0 ? <Text span size="sm" c="dimmed">{`${rule.alerts.length} active`}</Text> : null}
          <LabelBadges labels={rule.labels} />
        </Group>
      </Accordion.Control>
      <Accordion.Panel>
        <Stack gap="xs">
          <ExpressionLink expr={rule.query} />
          <Text size="sm" c="dimmed" style={{ overflowWrap: 'anywhere' }}>{facts.filter(Boolean).join(' · ')}</Text>
          {rule.lastError === undefined ? null : <Text size="sm" className="error-text" role="alert">{rule.lastError}</Text>}
          {rule.alerts.length > 0 ? <AlertTable alerts={rule.alerts} nowMs={nowMs} /> : <Annotations annotations={rule.annotations} />}
        </Stack>
      </Accordion.Panel>
    </Accordion.Item>
  );
}

export function AlertsPage(): ReactNode {
  const [states, setStates] = useState<readonly AlertState[]>(ALERT_STATES);
  const [text, setText] = useState('');
  // What a user opened or closed; until then, what fires is open.
  const [opened, setOpened] = useState<readonly string[] | undefined>(undefined);
  const answer = useQuery({ queryKey: ['alerts'], queryFn: ({ signal }) => listRules('alert', signal), refetchInterval: (query) => refetchMs(5000, query.state.data?.loadMs) });
  const words = useDeferredValue(text);
  const groups = answer.data?.data.groups;
  const counts = countStates(groups ?? []);
  const total = Object.values(counts).reduce((a, b) => a + b, 0);
  const shown = filterAlertingRules(groups ?? [], new Set(states), words);
  const open = opened ?? shown.filter(({ rule }) => rule.state === 'firing').slice(0, 10).map(keyOf);
  return (
    <Stack>
      <Title order={2}>Alerts</Title>
      <Notices error={answer.error} warnings={answer.data?.warnings ?? []} />
      {total > 0 ? (
        <Group gap="md">
          <Chip.Group multiple value={[...states]} onChange={(value) => setStates(value as AlertState[])}>
            <Group gap="xs" role="group" aria-label="States">
              {ALERT_STATES.filter((state) => state !== 'unknown' || counts.unknown > 0).map((state) => (
                <Chip key={state} value={state} color={STATE_COLORS[state]}>{`${state} (${counts[state]})`}</Chip>
              ))}
            </Group>
          </Chip.Group>
          <FilterInput label="Filter by name, label or annotation" value={text} onChange={setText} />
        </Group>
      ) : null}
      {groups?.length === 0 ? <NoRules /> : null}
      {groups !== undefined && groups.length > 0 && total === 0 ? <Text c="dimmed">There are rules, but none that alerts.</Text> : null}
      {total > 0 && shown.length === 0 ? <Text c="dimmed">No alert fits this filter.</Text> : null}
      <Capped items={shown} max={RULES_MAX} what="alerting rules">
        {(some) => (
          <Accordion multiple variant="separated" value={[...open]} onChange={setOpened}>
            {some.map((placed) => <AlertingRule key={keyOf(placed)} placed={placed} nowMs={answer.dataUpdatedAt} />)}
          </Accordion>
        )}
      </Capped>
    </Stack>
  );
}
