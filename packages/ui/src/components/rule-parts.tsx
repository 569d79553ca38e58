/** What the pages of alerts and rules share. */
import { Anchor, Badge, Button, Code, Group, Stack, Text, TextInput } from '@mantine/core';
import { type ReactNode, useState } from 'react';
import { Link } from 'wouter';
import type { LabelsJson } from '@gauntlet/http-api/types';
import { type AlertState, withoutName } from '../lib/rules.ts';
import { DEFAULT_PANEL, encodePanels } from '../lib/url-state.ts';

/** Dark enough for white text on them. */
export const STATE_COLORS: Readonly<Record<AlertState, string>> = { firing: 'red.8', pending: 'orange.9', inactive: 'green.9', unknown: 'gray.7' };

export function StateBadge({ state }: { readonly state: AlertState }): ReactNode {
  return <Badge color={STATE_COLORS[state]} style={{ flex: 'none' }}>{state}</Badge>;
}

/** An expression that opens as a query. */
export function ExpressionLink({ expr }: { readonly expr: string }): ReactNode {
  return (
    <Anchor component={Link} to={`/graph?${encodePanels([{ ...DEFAULT_PANEL, expr, tab: 'table' }])}`} className="series-name expression" title="Run this query">
      {expr}
    </Anchor>
  );
}

/** Labels as badges. */
export function LabelBadges({ labels }: { readonly labels: LabelsJson }): ReactNode {
  const pairs = withoutName(labels);
  if (pairs.length === 0) return null;
  return (
    <Group gap={4}>
      {pairs.map(([name, value]) => (
        <Code key={name} className="label-pair">{`${name}="${value}"`}</Code>
      ))}
    </Group>
  );
}

/** Annotations, one per line; web addresses open. */
export function Annotations({ annotations }: { readonly annotations: LabelsJson }): ReactNode {
  const pairs = Object.entries(annotations);
  if (pairs.length === 0) return null;
  return (
    <Stack gap={2}>
      {pairs.map(([name, value]) => (
        <Text key={name} size="sm" style={{ overflowWrap: 'anywhere', whiteSpace: 'pre-wrap' }}>
          <Text span fw={600} inherit>{name}: </Text>
          {/^https?:\/\/\S+$/.test(value) ? <Anchor href={value} target="_blank" rel="noreferrer" inherit>{value}</Anchor> : value}
        </Text>
      ))}
    </Stack>
  );
}

export function FilterInput({ value, onChange, label }: { readonly value: string; readonly onChange: (value: string) => void; readonly label: string }): ReactNode {
  return <TextInput aria-label={label} placeholder={label} value={value} onChange={(event) => onChange(event.currentTarget.value)} style={{ flex: '1 1 260px', maxWidth: 480 }} />;
}

/** The first of many, and a button for the rest. */
export function Capped<T>({ items, max, what, children }: { readonly items: readonly T[]; readonly max: number; readonly what: string; readonly children: (shown: readonly T[]) => ReactNode }): ReactNode {
  const [all, setAll] = useState(false);
  const shown = all ? items : items.slice(0, max);
  return (
    <>
      {children(shown)}
      {shown.length < items.length ? <Button variant="light" my="sm" onClick={() => setAll(true)}>{`Show all ${items.length} ${what}`}</Button> : null}
    </>
  );
}

/** Shown where no endpoint has rules. */
export function NoRules(): ReactNode {
  return (
    <Stack gap={6} maw={680}>
      <Text fw={600}>No endpoint has rules.</Text>
      <Text c="dimmed">
        Rules come from rulers, and from sidecars beside a Prometheus whose configuration has <Code>rule_files</Code>. The querier asks every endpoint that announces rules; give it one with{' '}
        <Code>--endpoint=host:port</Code>, and see under <Anchor component={Link} to="/stores" underline="always">Stores</Anchor> whether it answers.
      </Text>
    </Stack>
  );
}
