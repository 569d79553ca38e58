/**
 * Panels in the address bar, with the parameter names of the Thanos query page (`g0.expr`, `g0.tab`, …), so that alert links,
 * Grafana's "explore" links and old bookmarks open here too.
 */

export interface PanelState {
  readonly expr: string;
  readonly tab: 'graph' | 'table';
  readonly stacked: boolean;
  /** Graph range, ms. */
  readonly rangeMs: number;
  /** Graph end, ms since 1970; null = now. */
  readonly endMs: number | null;
  /** Table evaluation time, ms since 1970; null = now. */
  readonly momentMs: number | null;
  /** Graph step in seconds; null = automatic. */
  readonly stepSeconds: number | null;
  readonly dedup: boolean;
  readonly partialResponse: boolean;
  /** `auto`, `0s`, `5m` or `1h`. */
  readonly maxSourceResolution: string;
}

export const DEFAULT_PANEL: PanelState = {
  expr: '',
  tab: 'graph',
  stacked: false,
  rangeMs: 3_600_000,
  endMs: null,
  momentMs: null,
  stepSeconds: null,
  dedup: true,
  partialResponse: true,
  maxSourceResolution: '0s',
};

const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000, y: 31_536_000_000 };

/** Milliseconds of a Prometheus duration such as `1h30m`; null when it is none. */
export function parseRange(text: string): number | null {
  const trimmed = text.trim();
  if (!/^(\d+(ms|[smhdwy]))+$/.test(trimmed)) return null;
  let total = 0;
  for (const [, count, unit] of trimmed.matchAll(/(\d+)(ms|[smhdwy])/g)) total += Number(count) * UNITS[unit!]!;
  return total > 0 ? total : null;
}

/** The shortest Prometheus duration text of a whole number of milliseconds. */
export function formatRange(ms: number): string {
  let rest = Math.max(0, Math.round(ms));
  let text = '';
  for (const unit of ['d', 'h', 'm', 's', 'ms'] as const) {
    const size = UNITS[unit]!;
    const count = Math.floor(rest / size);
    if (count > 0) text += `${count}${unit}`;
    rest -= count * size;
  }
  return text === '' ? '0s' : text;
}

/** `2026-11-21 08:00:00` in UTC, as the page's inputs and the address bar write times. */
export function formatMoment(ms: number): string {
  return new Date(ms).toISOString().slice(0, 19).replace('T', ' ');
}

/** Milliseconds of `2026-11-21 08:00[:00]` in UTC; null when it is no time. */
export function parseMoment(text: string): number | null {
  const match = /^(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d)(:\d\d)?/.exec(text.trim());
  if (match === null) return null;
  const ms = Date.parse(`${match[1]}T${match[2]}${match[3] ?? ':00'}Z`);
  return Number.isNaN(ms) ? null : ms;
}

/** Reads all panels of a query string; at least one. Unknown parameters are left alone, unreadable values fall back to the default. */
export function decodePanels(search: string): PanelState[] {
  const params = new URLSearchParams(search);
  const panels: PanelState[] = [];
  for (let index = 0; index < 50; index++) {
    const get = (key: string): string | null => params.get(`g${index}.${key}`);
    if (get('expr') === null) break;
    const step = Number(get('step_input') ?? '');
    panels.push({
      expr: get('expr') ?? '',
      tab: get('tab') === '1' || get('tab') === 'table' ? 'table' : 'graph',
      stacked: get('stacked') === '1',
      rangeMs: parseRange(get('range_input') ?? '') ?? DEFAULT_PANEL.rangeMs,
      endMs: parseMoment(get('end_input') ?? ''),
      momentMs: parseMoment(get('moment_input') ?? ''),
      stepSeconds: step > 0 ? step : null,
      dedup: get('deduplicate') !== '0',
      partialResponse: get('partial_response') !== '0',
      maxSourceResolution: get('max_source_resolution') ?? DEFAULT_PANEL.maxSourceResolution,
    });
  }
  return panels.length > 0 ? panels : [DEFAULT_PANEL];
}

/** The query string (without `?`) that `decodePanels` reads back. */
export function encodePanels(panels: readonly PanelState[]): string {
  const params = new URLSearchParams();
  panels.forEach((panel, index) => {
    const set = (key: string, value: string): void => params.set(`g${index}.${key}`, value);
    set('expr', panel.expr);
    set('tab', panel.tab === 'table' ? '1' : '0');
    set('stacked', panel.stacked ? '1' : '0');
    set('range_input', formatRange(panel.rangeMs));
    if (panel.endMs !== null) set('end_input', formatMoment(panel.endMs));
    if (panel.momentMs !== null) set('moment_input', formatMoment(panel.momentMs));
    if (panel.stepSeconds !== null) set('step_input', String(panel.stepSeconds));
    set('max_source_resolution', panel.maxSourceResolution);
    set('deduplicate', panel.dedup ? '1' : '0');
    set('partial_response', panel.partialResponse ? '1' : '0');
  });
  return params.toString();
}
