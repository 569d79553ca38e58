/**
 * The two pages of a ruler, whole HTML without scripts: active alerts, and groups with their rules. All texts are escaped; nothing is loaded from
 * elsewhere.
 */
import type { AlertingRuleState, AlertState, Labels, RuleGroupState, RuleState } from '@gauntlet/model';
import { queryEscape } from './generator-url.ts';
import type { PageName } from './rules-protocol.ts';

/** What a page needs beside the groups. */
export interface RulesPageOptions {
  /** Path in front of links, as the browser sees it. */
  readonly prefix: string;
  /** `--alert.query-url`; expressions link there if it is a web address. */
  readonly queryUrl: string;
  /** Query string of the request: `state`, `q`. */
  readonly search: string;
  /** Unix ms. */
  readonly nowMs: number;
}

/** Makes a page. Groups carry external labels already. */
export function renderRulesPage(page: PageName, groups: readonly RuleGroupState[], options: RulesPageOptions): string {
  const params = new URLSearchParams(options.search);
  const filter = { text: params.get('q') ?? '', state: params.get('state') ?? '' };
  const body = page === 'rules' ? rulesBody(groups, filter, options) : alertsBody(groups, filter, options);
  const link = (name: PageName, title: string): string => `<a href="${escape(`${options.prefix}/${name}`)}"${name === page ? ' aria-current="page"' : ''}>${title}</a>`;
  return `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><link rel="icon" href="data:,"><title>${page === 'rules' ? 'Rules' : 'Alerts'} – Gauntlet ruler</title><style>${STYLE}</style></head>
<body><header><strong>Gauntlet ruler</strong><nav>${link('alerts', 'Alerts')}${link('rules', 'Rules')}<a href="${escape(`${options.prefix}/api/v1/status/flags`)}">Flags</a></nav></header>
<main>${body}</main></body>
</html>
`;
}

interface PageFilter {
  readonly text: string;
  readonly state: string;
}

const STATES: readonly AlertState[] = ['firing', 'pending', 'inactive', 'unknown'];

function alertsBody(groups: readonly RuleGroupState[], filter: PageFilter, options: RulesPageOptions): string {
  const rules = groups.flatMap((group) => group.rules.filter((rule): rule is AlertingRuleState => rule.kind === 'alerting').map((rule) => ({ group, rule })));
  const counts = new Map<string, number>();
  for (const { rule } of rules) counts.set(rule.state, (counts.get(rule.state) ?? 0) + 1);
  const shown = rules
    .filter(({ rule, group }) => (filter.state === '' || rule.state === filter.state) && matchesText(filter.text, rule, group))
    .sort((a, b) => STATES.indexOf(a.rule.state) - STATES.indexOf(b.rule.state));
  const chips = [['', 'all', rules.length] as const, ...STATES.filter((state) => counts.has(state)).map((state) => [state, state, counts.get(state)!] as const)]
    .map(([state, title, count]) => `<a class="chip${state === filter.state ? ' on' : ''}" href="?${escape(new URLSearchParams({ state, q: filter.text }).toString())}">${title} ${count}</a>`)
    .join('');
  if (rules.length === 0) return `<h1>Alerts</h1>${emptyText('No alerting rules are loaded.')}`;
  return `<h1>Alerts</h1>${searchForm(filter)}<p>${chips}</p>${shown.map(({ group, rule }) => alertCard(group, rule, options)).join('') || '<p>No alert fits.</p>'}`;
}

function alertCard(group: RuleGroupState, rule: AlertingRuleState, options: RulesPageOptions): string {
  const rows = rule.alerts
    .map((alert) => `<tr><td>${labelList(alert.labels)}${labelList(alert.annotations, 'note')}</td><td>${badge(alert.state)}</td><td>${alert.activeAtMs === undefined ? '' : `${ago(options.nowMs - alert.activeAtMs)} ago`}</td><td><code>${escape(alert.value)}</code></td></tr>`)
    .join('');
  const table = rows === '' ? '' : `<table><thead><tr><th>Labels</th><th>State</th><th>Active since</th><th>Value</th></tr></thead><tbody>${rows}</tbody></table>`;
  return `<details class="card"${rule.alerts.length > 0 ? ' open' : ''}><summary>${badge(rule.state)} <b>${escape(rule.name)}</b> <span class="dim">${escape(group.file)} · ${escape(group.name)}${rule.alerts.length > 0 ? ` · ${rule.alerts.length} active` : ''}</span></summary>${ruleText(rule, options)}${table}</details>`;
}

function rulesBody(groups: readonly RuleGroupState[], filter: PageFilter, options: RulesPageOptions): string {
  if (groups.length === 0) return `<h1>Rules</h1>${emptyText('No rules are loaded.')}`;
  const cards = groups.flatMap((group) => {
    const rules = group.rules.filter((rule) => matchesText(filter.text, rule, group));
    return rules.length === 0 && filter.text !== '' ? [] : [groupCard(group, rules, options)];
  });
  return `<h1>Rules</h1>${searchForm(filter)}${cards.join('') || '<p>No rule fits.</p>'}`;
}

function groupCard(group: RuleGroupState, rules: readonly RuleState[], options: RulesPageOptions): string {
  const facts = [`every ${group.intervalSeconds} s`, group.lastEvaluationMs === undefined ? 'not evaluated yet' : `evaluated ${ago(options.nowMs - group.lastEvaluationMs)} ago in ${seconds(group.evaluationSeconds)}`, `partial responses: ${group.strategy}`];
  if (group.limit > 0) facts.push(`limit ${group.limit}`);
  const rows = rules
    .map((rule) => `<tr><td>${ruleText(rule, options)}${rule.lastError === '' ? '' : `<div class="error">${escape(rule.lastError)}</div>`}</td><td>${badge(rule.health)}</td><td>${rule.lastEvaluationMs === undefined ? '' : `${ago(options.nowMs - rule.lastEvaluationMs)} ago`}</td><td>${seconds(rule.evaluationSeconds)}</td></tr>`)
    .join('');
  return `<section class="card"><h2>${escape(group.name)} <span class="dim">${escape(group.file)}</span></h2><p class="dim">${escape(facts.join(' · '))}</p><table><thead><tr><th>Rule</th><th>State</th><th>Last evaluation</th><th>Took</th></tr></thead><tbody>${rows}</tbody></table></section>`;
}

function ruleText(rule: RuleState, { queryUrl }: RulesPageOptions): string {
  const expr = escape(rule.query);
  const linked = /^https?:\/\//i.test(queryUrl) ? `<a href="${escape(`${queryUrl.replace(/\/+$/, '')}/graph?g0.expr=${queryEscape(rule.query)}&g0.tab=1`)}">${expr}</a>` : expr;
  const kind = rule.kind === 'alerting' ? 'alert' : 'record';
  const lines = [`${kind}: <b>${escape(rule.name)}</b>`, `expr: ${linked}`];
  if (rule.kind === 'alerting' && rule.forSeconds > 0) lines.push(`for: ${rule.forSeconds} s`);
  if (rule.kind === 'alerting' && rule.keepFiringForSeconds > 0) lines.push(`keep_firing_for: ${rule.keepFiringForSeconds} s`);
  return `<pre>${lines.join('\n')}</pre>${labelList(rule.labels)}${rule.kind === 'alerting' ? labelList(rule.annotations, 'note') : ''}`;
}

function searchForm(filter: PageFilter): string {
  return `<form><input type="hidden" name="state" value="${escape(filter.state)}"><input type="search" name="q" placeholder="name, expression, label" value="${escape(filter.text)}"> <button>Search</button></form>`;
}

function matchesText(text: string, rule: RuleState, group: RuleGroupState): boolean {
  if (text === '') return true;
  const wanted = text.toLowerCase();
  const instances = rule.kind === 'alerting' ? rule.alerts.flatMap(({ labels }) => labels) : [];
  return [rule.name, rule.query, group.name, group.file, ...rule.labels, ...instances].some((one) => one.toLowerCase().includes(wanted));
}

const emptyText = (what: string): string => `<p>${what} Give files with <code>--rule-file</code>, and after a change send SIGHUP or <code>POST /-/reload</code>.</p>`;

const badge = (state: string): string => `<span class="badge ${escape(state)}">${escape(state)}</span>`;

function labelList(labels: Labels, kind = 'label'): string {
  const items: string[] = [];
  for (let i = 0; i < labels.length; i += 2) items.push(`<span class="${kind}">${escape(labels[i]!)}=${escape(JSON.stringify(labels[i + 1]!))}</span>`);
  return items.length === 0 ? '' : `<div>${items.join(' ')}</div>`;
}

function seconds(value: number): string {
  return value < 1 ? `${Math.round(value * 1000)} ms` : `${value.toFixed(1)} s`;
}

function ago(ms: number): string {
  const total = Math.max(0, Math.round(ms / 1000));
  if (total < 60) return `${total} s`;
  if (total < 3600) return `${Math.floor(total / 60)} min ${total % 60} s`;
  return total < 86_400 ? `${Math.floor(total / 3600)} h ${Math.floor((total % 3600) / 60)} min` : `${Math.floor(total / 86_400)} d ${Math.floor((total % 86_400) / 3600)} h`;
}

function escape(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}

const STYLE = `:root{color-scheme:light dark;--line:#8884;--dim:#777}body{font:15px/1.5 system-ui,sans-serif;margin:0}header{display:flex;gap:2rem;align-items:center;padding:.7rem 1.2rem;border-bottom:1px solid var(--line)}nav{display:flex;gap:1rem}nav a[aria-current]{font-weight:600;text-decoration:none}main{max-width:72rem;margin:0 auto;padding:0 1.2rem 3rem}h2{font-size:1.1rem;margin:0}.card{border:1px solid var(--line);border-radius:8px;padding:.8rem 1rem;margin:.8rem 0}.dim{color:var(--dim);font-weight:400}table{width:100%;border-collapse:collapse;table-layout:fixed}th:first-child{width:60%}th{text-align:left;color:var(--dim);font-weight:500}td,th{padding:.35rem .6rem .35rem 0;border-top:1px solid var(--line);vertical-align:top}pre{margin:.2rem 0;white-space:pre-wrap;overflow-wrap:anywhere}summary{cursor:pointer}.badge,.chip,.label,.note{display:inline-block;border-radius:6px;padding:0 .45em;font-size:.87em;overflow-wrap:anywhere}.badge{color:#fff;background:#777}.badge.firing,.badge.err{background:#c92a2a}.badge.pending{background:#b35900}.badge.inactive,.badge.ok{background:#2b7a3d}.label{background:#3b82f626}.note{background:#8882}.chip{border:1px solid var(--line);margin-right:.4rem;color:inherit;text-decoration:none}.chip.on{font-weight:600;border-color:currentColor}.error{color:#c92a2a;overflow-wrap:anywhere}@media(prefers-color-scheme:dark){.error{color:#ff8787}a{color:#8ab4ff}}`;
