/** The page at `/`: groups, their blocks, what is planned and what is blocked and why. Plain HTML without scripts; all text escaped. */
import type { CompactorOverview, GroupProblem, GroupStatus } from './compactor-status.ts';

const ESCAPES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };

/** Text as HTML. */
export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => ESCAPES[character]!);
}

const STYLE = `body{font:14px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:75rem;padding:0 1rem;color:#1f2328;background:#fff}
h1{font-size:1.4rem}h2{font-size:1rem;margin:2rem 0 .3rem;overflow-wrap:anywhere}
table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:.2rem .6rem .2rem 0;border-bottom:1px solid #d0d7de;vertical-align:top}
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}code{font:12px ui-monospace,monospace}
.bad{border-left:4px solid #cf222e;padding:.3rem .8rem;background:#ffebe9;overflow-wrap:anywhere}.soon{border-color:#bf8700;background:#fff8c5}
.muted{color:#59636e}.planned td{background:#ddf4ff}
@media (prefers-color-scheme:dark){body{color:#e6edf3;background:#0d1117}th,td{border-color:#30363d}.bad{background:#3c1618}.soon{background:#3a2d05}.muted{color:#9198a1}.planned td{background:#0c2d6b}}`;

const time = (ms: number): string => new Date(ms).toISOString().replace('T', ' ').replace(/(:\d\d)?\.\d+Z$/, '$1');
const RESOLUTIONS: ReadonlyMap<number, string> = new Map([[0, 'raw'], [300_000, '5m'], [3_600_000, '1h']]);

function problemHtml(problem: GroupProblem): string {
  const label = problem.kind === 'retry' ? 'Tried again with the next run' : 'Blocked';
  return `<p class="bad${problem.kind === 'retry' ? ' soon' : ''}"><strong>${label}</strong> since ${time(problem.sinceMs)} UTC: ${escapeHtml(problem.message)} <code>${escapeHtml(problem.code)}</code></p>`;
}

function groupHtml(group: GroupStatus): string {
  const planned = new Set(group.planned);
  const rows = group.blocks.map((block) => `<tr${planned.has(block.ulid) ? ' class="planned"' : ''}><td><code>${escapeHtml(block.ulid)}</code></td><td>${time(block.minTime)}</td><td>${time(block.maxTime)}</td><td class="n">${block.level}</td><td class="n">${block.samples.toLocaleString('en')}</td><td>${block.marks.map(escapeHtml).join(', ')}</td></tr>`);
  const work = group.step !== undefined ? `Now: ${escapeHtml(group.step)}.` : planned.size > 0 ? `${planned.size} blocks are planned (${escapeHtml(group.planReason ?? '')}).` : 'Nothing to compact.';
  return `<section><h2>${escapeHtml(group.labels)} <span class="muted">${RESOLUTIONS.get(group.resolutionMs) ?? `${group.resolutionMs} ms`} · <code>${escapeHtml(group.key)}</code></span></h2>
${group.problem === undefined ? '' : problemHtml(group.problem)}<p>${work}</p>
<table><thead><tr><th>Block</th><th>From (UTC)</th><th>To</th><th class="n">Level</th><th class="n">Samples</th><th>Marks</th></tr></thead><tbody>
${rows.join('\n')}
</tbody></table></section>`;
}

/** The whole page. Links are relative to it. */
export function renderStatusPage(overview: CompactorOverview): string {
  const blocked = overview.groups.filter((group) => group.problem !== undefined && group.problem.kind !== 'retry').length;
  const partial = overview.partialBlocks.map(({ ulid, reason }) => `<tr><td><code>${escapeHtml(ulid)}</code></td><td>${escapeHtml(reason)}</td></tr>`);
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Compactor</title><style>${STYLE}</style></head><body>
<h1>Compactor</h1>
<p>${escapeHtml(overview.phase)} · ${overview.iterations} runs · ${overview.groups.length} groups${blocked > 0 ? `, <strong>${blocked} blocked</strong>` : ''} · bucket seen ${overview.syncedMs === undefined ? 'never' : `${time(overview.syncedMs)} UTC`} · <a href="api/v1/compact">JSON</a></p>
${overview.problems.map(problemHtml).join('\n')}
${overview.groups.map(groupHtml).join('\n')}
${partial.length === 0 ? '' : `<section><h2>Directories without a readable meta.json</h2><table><tbody>\n${partial.join('\n')}\n</tbody></table></section>`}
</body></html>
`;
}
