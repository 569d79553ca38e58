/** One query: editor, switches, and its answer as graph or table. */
import { Button, Group, Loader, Paper, Switch, Tabs, Text } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { type ReactNode, Suspense, lazy, useState } from 'react';
import { queryInstant, queryRange } from '../api/client.ts';
import { autoStep, type MatrixItem } from '../lib/series.ts';
import type { PanelState } from '../lib/url-state.ts';
import { DataTable } from './data-table.tsx';
import { Graph } from './graph.tsx';
import { Notices } from './notices.tsx';
import { TimeControls } from './time-controls.tsx';

/** The editor is most of the page's code; the rest of the page does not wait for it. */
const ExpressionEditor = lazy(async () => ({ default: (await import('./expression-editor.tsx')).ExpressionEditor }));

export interface QueryPanelProps {
  readonly panel: PanelState;
  readonly onChange: (change: Partial<PanelState>) => void;
  readonly onRemove: (() => void) | undefined;
}

export function QueryPanel({ panel, onChange, onRemove }: QueryPanelProps): ReactNode {
  const [draft, setDraft] = useState(panel.expr);
  // "Now" moves only when the user runs the query or changes something, never by itself.
  const [run, setRun] = useState({ count: 0, nowMs: Date.now() });
  const change = (part: Partial<PanelState>): void => {
    setRun((previous) => ({ count: previous.count, nowMs: Date.now() }));
    onChange(part);
  };
  const execute = (): void => {
    setRun((previous) => ({ count: previous.count + 1, nowMs: Date.now() }));
    onChange({ expr: draft });
  };

  const stepS = panel.stepSeconds ?? autoStep(panel.rangeMs);
  const endS = (panel.endMs ?? run.nowMs) / 1000;
  const startS = endS - panel.rangeMs / 1000;
  const timeMs = panel.momentMs ?? run.nowMs;
  const answer = useQuery({
    queryKey: ['query', panel.tab, panel.expr, panel.dedup, panel.partialResponse, panel.maxSourceResolution, panel.tab === 'graph' ? [startS, endS, stepS] : timeMs, run.count],
    queryFn: ({ signal }) => (panel.tab === 'graph' ? queryRange(panel.expr, startS, endS, stepS, panel, signal) : queryInstant(panel.expr, timeMs, panel, signal)),
    enabled: panel.expr.trim() !== '',
    placeholderData: (previous, query) => (query?.queryKey[1] === panel.tab ? previous : undefined),
    gcTime: 0,
  });
  const result = answer.data;
  const series = result?.data.resultType === 'matrix' ? (result.data.result as readonly MatrixItem[]) : [];

  return (
    <Paper withBorder p="sm" mb="md" component="section" aria-label="Query panel">
      <Group align="flex-start" gap="sm" wrap="nowrap">
        <Suspense fallback={<div className="editor" style={{ height: 40 }} />}>
          <ExpressionEditor value={draft} onChange={setDraft} onExecute={execute} />
        </Suspense>
        <Button onClick={execute} loading={answer.isFetching}>Execute</Button>
      </Group>
      <Group gap="lg" my="sm">
        <Switch label="Use deduplication" checked={panel.dedup} onChange={(event) => change({ dedup: event.currentTarget.checked })} />
        <Switch label="Use partial response" checked={panel.partialResponse} onChange={(event) => change({ partialResponse: event.currentTarget.checked })} />
        <Text size="sm" c="dimmed" style={{ flex: 1, textAlign: 'right' }} role="status">
          {answer.isFetching ? <Loader size="xs" /> : result ? `${Math.round(result.loadMs)} ms${panel.tab === 'graph' ? ` · step ${stepS} s` : ''} · ${Array.isArray(result.data.result) && (result.data.resultType === 'matrix' || result.data.resultType === 'vector') ? result.data.result.length : 1} series` : ''}
        </Text>
        {onRemove ? <Button variant="subtle" color="gray" size="compact-sm" onClick={onRemove}>Remove panel</Button> : null}
      </Group>
      <Tabs value={panel.tab} onChange={(tab) => change({ tab: tab === 'table' ? 'table' : 'graph' })} keepMounted={false}>
        <Tabs.List mb="sm">
          <Tabs.Tab value="graph">Graph</Tabs.Tab>
          <Tabs.Tab value="table">Table</Tabs.Tab>
        </Tabs.List>
        <TimeControls panel={panel} onChange={change} />
        <Notices error={answer.error} warnings={result?.warnings ?? []} infos={result?.infos ?? []} />
        <Tabs.Panel value="graph">
          {result && !answer.error && series.length === 0 ? <Text c="dimmed" my="md">Empty result: no series has a sample in this range.</Text> : null}
          {series.length > 0 && !answer.error ? (
            <Graph
              series={series}
              startS={startS}
              endS={endS}
              stepS={stepS}
              stacked={panel.stacked}
              onSelectRange={(fromMs, toMs) => change({ endMs: Math.round(toMs), rangeMs: Math.max(1000, Math.round((toMs - fromMs) / 1000) * 1000) })}
            />
          ) : null}
        </Tabs.Panel>
        <Tabs.Panel value="table">{result && !answer.error ? <DataTable data={result.data} /> : null}</Tabs.Panel>
      </Tabs>
    </Paper>
  );
}
