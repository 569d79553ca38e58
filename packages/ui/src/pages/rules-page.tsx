/** All rules by group: expression, health, when and how long they were evaluated. */
import { Badge, Group, Paper, SegmentedControl, Stack, Switch, Table, Text, Title } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { type ReactNode, useDeferredValue, useState } from 'react';
import type { RuleGroupJson, RuleJson } from '@gauntlet/http-api/types';
import { listRules, refetchMs } from '../api/client.ts';
import { Notices } from '../components/notices.tsx';
import { Annotations, Capped, ExpressionLink, FilterInput, LabelBadges, NoRules, StateBadge } from '../components/rule-parts.tsx';
import { agoText, filterGroups, type RuleFilter, secondsText } from '../lib/rules.ts';

const GROUPS_MAX = 50;
const RULES_MAX = 100;
const HEALTH_COLORS = { ok: 'green.9', err: 'red.8', unknown: 'gray.7' } as const;

function RuleRow({ rule, nowMs }: { readonly rule: RuleJson; readonly nowMs: number }): ReactNode {
  return (
    <Table.Tr>
      <Table.Td>
        <Stack gap={4}>
          <Group gap={6}>
            <Text span fw={600} className="series-name">{rule.name}</Text>
            {rule.type === 'alerting' ? <StateBadge state={rule.state} /> : null}
          </Group>
          <LabelBadges labels={rule.labels} />
        </Stack>
      </Table.Td>
      <Table.Td>
        <Stack gap={4}>
          <ExpressionLink expr={rule.query} />
          {rule.type === 'alerting' && rule.duration + rule.keepFiringFor > 0 ? (
            <Text size="sm" c="dimmed">
              {[rule.duration > 0 ? `for ${secondsText(rule.duration)}` : '', rule.keepFiringFor > 0 ? `keep firing for ${secondsText(rule.keepFiringFor)}` : ''].filter(Boolean).join(' · ')}
            </Text>
          ) : null}
          {rule.type === 'alerting' ? <Annotations annotations={rule.annotations} /> : null}
          {rule.lastError === undefined ? null : <Text size="sm" className="error-text" role="alert">{rule.lastError}</Text>}
        </Stack>
      </Table.Td>
      <Table.Td><Badge color={HEALTH_COLORS[rule.health]}>{rule.health}</Badge></Table.Td>
      <Table.Td title={rule.lastEvaluation} style={{ whiteSpace: 'nowrap' }}>{agoText(rule.lastEvaluation, nowMs)}</Table.Td>
      <Table.Td style={{ whiteSpace: 'nowrap' }}>{secondsText(rule.evaluationTime)}</Table.Td>
    </Table.Tr>
  );
}

function RuleGroup({ group, nowMs }: { readonly group: RuleGroupJson; readonly nowMs: number }): ReactNode {
  const facts = [`every ${secondsText(group.interval)}`, `evaluated ${agoText(group.lastEvaluation, nowMs)}`, `took ${secondsText(group.evaluationTime)}`];
  if (group.limit > 0) facts.push(`at most ${group.limit} per rule`);
  if (group.partialResponseStrategy === 'WARN') facts.push('partial data allowed');
  return (
    <Paper component="section" aria-label={group.name} withBorder p="sm">
      <Group justify="space-between" gap="xs" mb={4}>
        <Group gap="xs" align="baseline">
          <Title order={4} style={{ overflowWrap: 'anywhere' }}>{group.name}</Title>
          <Text size="sm" c="dimmed" className="series-name">{group.file}</Text>
        </Group>
        <Text size="sm" c="dimmed">{facts.join(' · ')}</Text>
      </Group>
      {group.rules.length === 0 ? <Text c="dimmed">No rules in this group.</Text> : (
        <Capped items={group.rules} max={RULES_MAX} what="rules">
          {(shown) => (
            <Table.ScrollContainer minWidth={760}>
              <Table className="top-aligned" verticalSpacing="xs" layout="fixed">
                <Table.Thead>
                  <Table.Tr>
                    <Table.Th w="30%">Rule</Table.Th>
                    <Table.Th>Expression</Table.Th>
                    <Table.Th w={90}>Health</Table.Th>
                    <Table.Th w={110}>Evaluated</Table.Th>
                    <Table.Th w={90}>Took</Table.Th>
                  </Table.Tr>
                </Table.Thead>
                <Table.Tbody>
                  {shown.map((rule, i) => <RuleRow key={`${i} ${rule.name}`} rule={rule} nowMs={nowMs} />)}
                </Table.Tbody>
              </Table>
            </Table.ScrollContainer>
          )}
        </Capped>
      )}
    </Paper>
  );
}

export function RulesPage(): ReactNode {
  const [filter, setFilter] = useState<RuleFilter>({ text: '', kind: 'all', onlyFailing: false });
  const answer = useQuery({ queryKey: ['rules'], queryFn: ({ signal }) => listRules('all', signal), refetchInterval: (query) => refetchMs(10_000, query.state.data?.loadMs) });
  const wanted = useDeferredValue(filter);
  const groups = answer.data?.data.groups;
  const shown = groups === undefined ? [] : filterGroups(groups, wanted);
  return (
    <Stack>
      <Title order={2}>Rules</Title>
      <Notices error={answer.error} warnings={answer.data?.warnings ?? []} />
      {groups !== undefined && groups.length > 0 ? (
        <Group gap="md">
          <FilterInput label="Filter by name, label, expression, file or error" value={filter.text} onChange={(text) => setFilter({ ...filter, text })} />
          <SegmentedControl
            aria-label="Kind of rule"
            value={filter.kind}
            onChange={(kind) => setFilter({ ...filter, kind: kind as RuleFilter['kind'] })}
            data={[{ value: 'all', label: 'All' }, { value: 'alerting', label: 'Alerting' }, { value: 'recording', label: 'Recording' }]}
          />
          <Switch label="Only failing" checked={filter.onlyFailing} onChange={(event) => setFilter({ ...filter, onlyFailing: event.currentTarget.checked })} />
        </Group>
      ) : null}
      {groups?.length === 0 ? <NoRules /> : null}
      {groups !== undefined && groups.length > 0 && shown.length === 0 ? <Text c="dimmed">No rule fits this filter.</Text> : null}
      <Capped items={shown} max={GROUPS_MAX} what="groups">
        {(some) => some.map((group) => <RuleGroup key={`${group.file};${group.name}`} group={group} nowMs={answer.dataUpdatedAt} />)}
      </Capped>
    </Stack>
  );
}
