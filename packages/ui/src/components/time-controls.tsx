/** Range ladder, end or evaluation time, step and source resolution of a panel. Times are UTC. */
import { ActionIcon, Group, SegmentedControl, Select, TextInput } from '@mantine/core';
import { type ReactNode, useEffect, useState } from 'react';
import { type PanelState, formatMoment, formatRange, parseMoment, parseRange } from '../lib/url-state.ts';

const MINUTE = 60_000;
const LADDER_MS = [1, 5, 15, 30, 60, 120, 360, 720, 1440, 2880, 10_080, 20_160, 40_320, 80_640].map((minutes) => minutes * MINUTE);

/** A text box that hands its value on when it can be read, and shows when it cannot. */
function ParsedInput<T>({ label, width, text, placeholder, parse, onValue }: {
  readonly label: string;
  readonly width: number;
  readonly text: string;
  readonly placeholder?: string;
  readonly parse: (text: string) => T | undefined;
  readonly onValue: (value: T) => void;
}): ReactNode {
  const [draft, setDraft] = useState(text);
  useEffect(() => setDraft(text), [text]);
  const submit = (): void => {
    const value = parse(draft);
    if (value !== undefined && draft !== text) onValue(value);
  };
  return (
    <TextInput
      aria-label={label}
      placeholder={placeholder ?? label}
      w={width}
      value={draft}
      error={parse(draft) === undefined}
      onChange={(event) => setDraft(event.currentTarget.value)}
      onBlur={submit}
      onKeyDown={(event) => event.key === 'Enter' && submit()}
    />
  );
}

function MomentInput({ label, value, stepMs, onChange }: { readonly label: string; readonly value: number | null; readonly stepMs: number; readonly onChange: (ms: number | null) => void }): ReactNode {
  return (
    <Group gap={4} wrap="nowrap">
      <ActionIcon variant="default" size="lg" aria-label={`${label}: earlier`} onClick={() => onChange((value ?? Date.now()) - stepMs)}>‹</ActionIcon>
      <ParsedInput
        label={label}
        placeholder={`${label} (now)`}
        width={180}
        text={value === null ? '' : formatMoment(value)}
        parse={(text) => (text.trim() === '' ? null : (parseMoment(text) ?? undefined))}
        onValue={onChange}
      />
      <ActionIcon variant="default" size="lg" aria-label={`${label}: later`} onClick={() => onChange((value ?? Date.now()) + stepMs)}>›</ActionIcon>
    </Group>
  );
}

export function TimeControls({ panel, onChange }: { readonly panel: PanelState; readonly onChange: (change: Partial<PanelState>) => void }): ReactNode {
  if (panel.tab === 'table') {
    return <MomentInput label="Evaluation time" value={panel.momentMs} stepMs={10 * MINUTE} onChange={(momentMs) => onChange({ momentMs })} />;
  }
  const shorter = LADDER_MS.findLast((ms) => ms < panel.rangeMs);
  const longer = LADDER_MS.find((ms) => ms > panel.rangeMs);
  return (
    <Group gap="sm">
      <Group gap={4} wrap="nowrap">
        <ActionIcon variant="default" size="lg" aria-label="Shorter range" disabled={shorter === undefined} onClick={() => onChange({ rangeMs: shorter! })}>−</ActionIcon>
        <ParsedInput label="Range" width={80} text={formatRange(panel.rangeMs)} parse={(text) => parseRange(text) ?? undefined} onValue={(rangeMs) => onChange({ rangeMs })} />
        <ActionIcon variant="default" size="lg" aria-label="Longer range" disabled={longer === undefined} onClick={() => onChange({ rangeMs: longer! })}>+</ActionIcon>
      </Group>
      <MomentInput label="End time" value={panel.endMs} stepMs={panel.rangeMs / 2} onChange={(endMs) => onChange({ endMs })} />
      <ParsedInput
        label="Step in seconds"
        placeholder="Step (auto)"
        width={110}
        text={panel.stepSeconds === null ? '' : String(panel.stepSeconds)}
        parse={(text) => (text.trim() === '' ? null : Number(text) > 0 ? Number(text) : undefined)}
        onValue={(stepSeconds) => onChange({ stepSeconds })}
      />
      <Select
        aria-label="Source resolution"
        w={160}
        allowDeselect={false}
        value={panel.maxSourceResolution}
        data={[{ value: '0s', label: 'Only raw data' }, { value: 'auto', label: 'Auto resolution' }, { value: '5m', label: 'Max 5m resolution' }, { value: '1h', label: 'Max 1h resolution' }]}
        onChange={(value) => value !== null && onChange({ maxSourceResolution: value })}
      />
      <SegmentedControl value={panel.stacked ? 'stacked' : 'lines'} data={[{ value: 'lines', label: 'Lines' }, { value: 'stacked', label: 'Stacked' }]} onChange={(value) => onChange({ stacked: value === 'stacked' })} />
    </Group>
  );
}
