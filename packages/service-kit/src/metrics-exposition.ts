/**
 * The page of /metrics: Prometheus text 0.0.4 or OpenMetrics 1.0, as the scraper asks for in its Accept header.
 *
 * Differences of OpenMetrics that matter: HELP and TYPE of a counter name it without `_total`; exemplars follow buckets; the page ends in `# EOF`.
 * Source: prometheus/docs "Exposition formats"; OpenMetrics 1.0 section "Text format".
 */
import type { MetricFamilySnapshot, MetricRegistry } from './metrics.ts';

/** Content types a metrics page can have. */
export const METRICS_CONTENT_TYPES = {
  text: 'text/plain; version=0.0.4; charset=utf-8; escaping=underscores',
  openMetrics: 'application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=underscores',
} as const;

/** A finished page. */
export interface MetricsPage {
  readonly contentType: string;
  readonly body: string;
}

/** Renders the registry in the format the Accept header prefers; text when it says nothing. */
export async function renderMetrics(registry: MetricRegistry, accept: string | undefined): Promise<MetricsPage> {
  const families = await registry.snapshot();
  return acceptsOpenMetrics(accept)
    ? { contentType: METRICS_CONTENT_TYPES.openMetrics, body: renderFamilies(families, true) }
    : { contentType: METRICS_CONTENT_TYPES.text, body: renderFamilies(families, false) };
}

/** Whether OpenMetrics 1.0 (or 0.0.1) is asked for with a weight no lower than plain text. */
export function acceptsOpenMetrics(accept: string | undefined): boolean {
  let openMetrics = 0;
  let text = 0;
  for (const part of (accept ?? '').split(',')) {
    const [type = '', ...parameters] = part.split(';').map((piece) => piece.trim().toLowerCase());
    let quality = 1;
    let version: string | undefined;
    for (const parameter of parameters) {
      if (parameter.startsWith('q=')) quality = Number(parameter.slice(2));
      if (parameter.startsWith('version=')) version = parameter.slice(8);
    }
    if (!(quality > 0)) continue;
    const knownVersion = version === undefined || version === '1.0.0' || version === '0.0.1';
    if (type === 'application/openmetrics-text' && knownVersion) openMetrics = Math.max(openMetrics, quality);
    if (type === 'text/plain' || type === 'text/*') text = Math.max(text, quality);
  }
  return openMetrics > 0 && openMetrics >= text;
}

function renderFamilies(families: readonly MetricFamilySnapshot[], openMetrics: boolean): string {
  const lines: string[] = [];
  for (const family of families) {
    if (family.samples.length === 0) continue;
    const isCounter = family.type === 'counter';
    const bare = openMetrics && isCounter && family.name.endsWith('_total') ? family.name.slice(0, -6) : family.name;
    const type = family.type === 'unknown' && !openMetrics ? 'untyped' : family.type;
    lines.push(`# HELP ${bare} ${escapeHelp(family.help, openMetrics)}\n# TYPE ${bare} ${type}\n`);
    for (const sample of family.samples) {
      const name = openMetrics && isCounter && !sample.name.endsWith('_total') ? `${sample.name}_total` : sample.name;
      let line = `${name}${renderLabels(sample.labels, openMetrics)} ${renderNumber(sample.value)}`;
      if (openMetrics && sample.exemplar !== undefined) {
        const { labels, value, timestampSeconds } = sample.exemplar;
        line += ` # ${renderLabels(Object.entries(labels).flat(), false) || '{}'} ${renderNumber(value)} ${timestampSeconds.toFixed(3)}`;
      }
      lines.push(`${line}\n`);
    }
  }
  if (openMetrics) lines.push('# EOF\n');
  return lines.join('');
}

/** `{a="1",b="2"}`, or nothing. OpenMetrics wants `le` and `quantile` as floats (`1.0`). */
function renderLabels(labels: readonly string[], openMetrics: boolean): string {
  if (labels.length === 0) return '';
  let text = '{';
  for (let i = 0; i < labels.length; i += 2) {
    const name = labels[i]!;
    let value = labels[i + 1]!;
    if (openMetrics && (name === 'le' || name === 'quantile') && /^\d+$/.test(value)) value += '.0';
    text += `${i === 0 ? '' : ','}${name}="${value.replace(/[\\\n"]/g, escapeCharacter)}"`;
  }
  return `${text}}`;
}

function escapeHelp(help: string, openMetrics: boolean): string {
  return help.replace(openMetrics ? /[\\\n"]/g : /[\\\n]/g, escapeCharacter);
}

function escapeCharacter(character: string): string {
  return character === '\n' ? '\\n' : `\\${character}`;
}

function renderNumber(value: number): string {
  if (value === Number.POSITIVE_INFINITY) return '+Inf';
  if (value === Number.NEGATIVE_INFINITY) return '-Inf';
  return String(value);
}
