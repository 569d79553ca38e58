/** Rule files: what is read, and every refusal with its place. */
import { describe, expect, test } from '@jest/globals';
import { checkRuleFile, formatRuleFileProblem, parseRuleFile } from './rule-files.ts';

const problemsOf = (text: string): readonly string[] => parseRuleFile(text, 'r.yml').problems.map(formatRuleFileProblem);

test('a whole group', () => {
  const text = `
groups:
- name: g
  interval: 1m30s
  query_offset: 5s
  limit: 7
  labels: {team: core, tier: a}
  partial_response_strategy: WaRn
  rules:
  - record: job:up:sum
    expr: sum   by (job)(up)
    labels: {tier: b, gone: ""}
  - alert: Down
    expr: |
      up
        == 0
    for: 5m
    keep_firing_for: 1h
    labels: {severity: page, n: 1}
    annotations:
      summary: "{{ $labels.instance }} down"
- name: empty
`;
  expect(parseRuleFile(text, 'r.yml')).toEqual({
    problems: [],
    warnings: [],
    groups: [
      {
        name: 'g',
        file: 'r.yml',
        intervalMs: 90_000,
        queryOffsetMs: 5000,
        limit: 7,
        strategy: 'warn',
        rules: [
          { kind: 'recording', name: 'job:up:sum', expr: 'sum by (job) (up)', labels: [['gone', ''], ['team', 'core'], ['tier', 'b']] },
          {
            kind: 'alerting',
            name: 'Down',
            expr: 'up == 0',
            forMs: 300_000,
            keepFiringForMs: 3_600_000,
            labels: [['n', '1'], ['severity', 'page'], ['team', 'core'], ['tier', 'a']],
            annotations: [['summary', '{{ $labels.instance }} down']],
          },
        ],
      },
      { name: 'empty', file: 'r.yml', intervalMs: undefined, queryOffsetMs: undefined, limit: 0, strategy: 'abort', rules: [] },
    ],
  });
});

test.each([
  ['nothing', ''],
  ['comments', '# none yet\n'],
  ['no groups', 'groups:\n'],
  ['a list of none', 'groups: []'],
])('a file with %s is an empty rule file', (_name, text) => {
  expect(parseRuleFile(text, 'r.yml')).toEqual({ groups: [], problems: [], warnings: [] });
});

test('aliases and merge keys are read; keys such as __proto__ are only names', () => {
  const text = `
groups:
- name: g
  rules:
  - &base {alert: A, expr: up, labels: &l {__proto__: x, constructor: y}}
  - {<<: *base, alert: B, annotations: *l}
`;
  const { groups, problems } = parseRuleFile(text, 'r.yml');
  expect(problems).toEqual([]);
  const entries = [['__proto__', 'x'], ['constructor', 'y']];
  expect(groups[0]!.rules).toMatchObject([{ name: 'A', labels: entries }, { name: 'B', expr: 'up', labels: entries, annotations: entries }]);
});

const inGroup = (rules: string): string => `groups:\n- name: g\n  rules:\n${rules}`;

describe('refused', () => {
  test.each<[name: string, text: string, wanted: readonly string[]]>([
    ['unknown key of the file', 'group: []', ["r.yml:1:1: unknown key 'group', did you mean 'groups'?"]],
    ['unknown key of a group', 'groups:\n- name: g\n  intervall: 1m', ["r.yml:3:3: group \"g\": unknown key 'intervall' in groups[0], did you mean 'interval'?"]],
    ['unknown key of a rule', inGroup('  - {alert: A, expr: up, fro: 1m}'), ["r.yml:4:26: group \"g\", rule \"A\": unknown key 'fro' in groups[0].rules[0], did you mean 'for'?"]],
    ['prometheus key __proto__', inGroup('  - {alert: A, expr: up, __proto__: {record: x}}'), ["r.yml:4:26: group \"g\", rule \"A\": unknown key '__proto__' in groups[0].rules[0] (known: record, alert, expr, for, keep_firing_for, labels, annotations)"]],
    ['group without a name', 'groups:\n- rules: []', ['r.yml:2:3: group name must not be empty']],
    ['group with an empty name', 'groups:\n- name: ""', ['r.yml:2:9: group name must not be empty']],
    ['repeated group', 'groups:\n- name: g\n- name: g', ['r.yml:3:9: group "g": group name "g" is repeated in the same file']],
    ['list item that is no group', 'groups: [1]', ['r.yml:1:10: groups[0]: wanted map, got a scalar']],
    ['list item that is nothing', 'groups:\n-\n', ['r.yml:2:2: groups[0]: wanted a group, got nothing']],
    ['list item that is no rule', inGroup('  - up'), ['r.yml:4:5: group "g": groups[0].rules[0]: wanted map, got a scalar']],
    ['two documents', 'groups: []\n---\ngroups: []', ['r.yml:2:1: read YAML: wanted one document, got more']],
    ['broken YAML', 'groups: [', ['r.yml:1:10: read YAML: Flow sequence in block collection must be sufficiently indented and end with a ]']],
    ['unknown alias', 'groups: *x', ["r.yml:1:9: read YAML: unknown alias '*x'"]],
    ['duplicate key', 'groups: []\ngroups: []', ['r.yml:2:1: read YAML: Map keys must be unique']],
    ['bad interval', 'groups:\n- {name: g, interval: 90}', ['r.yml:2:23: group "g": groups[0].interval: not a valid duration string: "90"']],
    ['Go duration', 'groups:\n- {name: g, query_offset: 1.5s}', ['r.yml:2:27: group "g": groups[0].query_offset: unknown unit "." in duration "1.5s"']],
    ['bad limit', 'groups:\n- {name: g, limit: many}', ["r.yml:2:20: group \"g\": groups[0].limit: wanted integer, got 'many'"]],
    ['bad strategy', 'groups:\n- {name: g, partial_response_strategy: wrn}', ["r.yml:2:40: group \"g\": groups[0].partial_response_strategy: wanted one of \"\", warn, abort, got 'wrn', did you mean 'warn'?"]],
    ['bad name of a group label', 'groups:\n- {name: g, labels: {__name__: x}}', ['r.yml:2:22: group "g": invalid label name: "__name__"']],
    ['neither record nor alert', inGroup('  - {expr: up}'), ["r.yml:4:5: group \"g\": one of 'record' or 'alert' must be set"]],
    ['record and alert', inGroup('  - {record: a, alert: b, expr: up}'), ["r.yml:4:24: group \"g\", rule \"b\": only one of 'record' and 'alert' must be set"]],
    ['no expr', inGroup('  - record: a'), ["r.yml:4:5: group \"g\", rule \"a\": field 'expr' must be set in rule"]],
    ['empty expr', inGroup('  - {record: a, expr: ""}'), ["r.yml:4:23: group \"g\", rule \"a\": field 'expr' must be set in rule"]],
    ['for in a recording rule', inGroup('  - {record: a, expr: up, for: 1m, keep_firing_for: 2m, annotations: {a: b}}'), [
      "r.yml:4:32: group \"g\", rule \"a\": invalid field 'for' in recording rule",
      "r.yml:4:53: group \"g\", rule \"a\": invalid field 'keep_firing_for' in recording rule",
      "r.yml:4:71: group \"g\", rule \"a\": invalid field 'annotations' in recording rule",
    ]],
    ['name of a recording rule with braces', inGroup('  - {record: "up{a=\\"b\\"}", expr: up}'), ['r.yml:4:14: group "g", rule "up{a=\\"b\\"}": braces in the recording rule name "up{a=\\"b\\"}"; should they be in expr?']],
    ['name that is no text', inGroup('  - {record: "\\ud800", expr: up}'), ['r.yml:4:14: group "g", rule "\\ud800": invalid recording rule name: "\\ud800"']],
    ['names of labels and annotations', inGroup('  - alert: A\n    expr: up\n    labels: {"": x, __name__: y, ok: "\\udc00"}\n    annotations: {"": z}'), [
      'r.yml:6:14: group "g", rule "A": invalid label name: ""',
      'r.yml:6:21: group "g", rule "A": invalid label name: "__name__"',
      'r.yml:6:38: group "g", rule "A": invalid label value: "\\udc00"',
      'r.yml:7:19: group "g", rule "A": invalid annotation name: ""',
    ]],
    ['labels that are no texts', inGroup('  - {alert: A, expr: up, labels: [a], annotations: {a: {b: c}}}'), [
      'r.yml:4:34: group "g", rule "A": groups[0].rules[0].labels: wanted map of string, got a list',
      'r.yml:4:56: group "g", rule "A": groups[0].rules[0].annotations.a: wanted string, got a map',
    ]],
    ['templates', inGroup('  - alert: A\n    expr: up\n    labels: {a: "x {{ $lables.job }}"}\n    annotations:\n      b: \'it\'\'s {{ printf "%d" 1 }}\'\n      c: |\n        line\n        {{ if $value }}x{{ end }}'), [
      'r.yml:6:23: group "g", rule "A": label "a": template variable \'$lables\' is not defined, did you mean \'$labels\'?',
      'r.yml:8:20: group "g", rule "A": annotation "b": template function \'printf\' is not supported yet',
      'r.yml:11:12: group "g", rule "A": annotation "c": template action \'if\' is not supported yet',
      'r.yml:11:28: group "g", rule "A": annotation "c": template action \'end\' is not supported yet',
    ]],
    ['template of a group label, once', 'groups:\n- name: g\n  labels: {x: "{{ now }}"}\n  rules:\n  - {record: r, expr: up}\n  - {alert: A, expr: up}\n  - {alert: B, expr: up}', [
      'r.yml:3:19: group "g": label "x": template function \'now\' is not supported yet',
    ]],
  ])('%s', (_name, text, wanted) => {
    expect(problemsOf(text)).toEqual(wanted);
  });

  test('all problems of all groups, and no group is given', () => {
    const read = parseRuleFile('groups:\n- {name: a, rules: [{record: x, expr: "("}]}\n- {name: b, rules: [{alert: y, expr: up, oops: 1}]}\n- {name: c, rules: [{record: z, expr: up}]}', 'r.yml');
    expect(read.problems.map(({ group, rule, line }) => [group, rule, line])).toEqual([['a', 'x', 2], ['b', 'y', 3]]);
    expect(read.groups).toEqual([]);
  });

  test('alias bomb', () => {
    let text = 'x0: &x0 [a,a,a,a,a,a,a,a,a,a]\n';
    for (let i = 1; i < 12; i++) text += `x${i}: &x${i} [${Array.from({ length: 10 }, () => `*x${i - 1}`).join()}]\n`;
    expect(problemsOf(`${text}groups: []`)[0]).toMatch(/unknown key 'x0'/);
    const labels = `{${Array.from({ length: 100 }, (_, i) => `l${i}: v`).join()}}`;
    const rule = `{alert: A, expr: up, labels: &l ${labels}}`;
    const group = `rules: &r [${[rule, ...Array.from({ length: 99 }, () => '{alert: A, expr: up, labels: *l}')].join()}]`;
    const bomb = `groups:\n- {name: g, ${group}}\n${Array.from({ length: 300 }, (_, i) => `- {name: g${i}, rules: *r}`).join('\n')}`;
    expect(problemsOf(bomb)).toEqual([expect.stringMatching(/document expands to more than 1000000 nodes/)]);
  });
});

describe('the place of a parse error in the file', () => {
  // The mark ^ is where the error must be; it is taken out before reading.
  test.each([
    ['plain', '    expr: sum(up) ^bad'],
    ['plain, folded over lines', '    expr: sum(up)\n      ^bad'],
    ['double quotes', '    expr: "sum(up) ^bad"'],
    ['double quotes with escapes', '    expr: "up{a=\\"b\\\\\\\\\\u0041\\"} ^bad"'],
    ['single quotes', "    expr: 'up{a=''b''} ^bad'"],
    ['block', '    expr: |\n      up{\n        a="b"} ^bad'],
    ['block after an empty line', '    expr: |-\n\n      up\n\n      ^bad'],
    ['folded block', '    expr: >-\n      up\n      ^bad'],
    ['block with CRLF', '    expr: |\r\n      up\r\n      ^bad'],
  ])('%s', (_name, marked) => {
    const before = `groups:\n- name: g\n  rules:\n  - record: a\n${marked.slice(0, marked.indexOf('^'))}`;
    const [problem] = parseRuleFile(`groups:\n- name: g\n  rules:\n  - record: a\n${marked.replace('^', '')}\n`, 'r.yml').problems;
    expect(problem?.message).toMatch(/^could not parse expression: \d+:\d+: parse error: unexpected identifier "bad"$/);
    expect([problem!.line, problem!.column]).toEqual([before.split('\n').length, before.split('\n').at(-1)!.length + 1]);
  });

  test('text behind an alias: where the text stands', () => {
    const [first, second] = parseRuleFile('groups:\n- name: g\n  rules:\n  - {record: a, expr: &e "up bad"}\n  - {record: b, expr: *e}', 'r.yml').problems;
    expect([first!.line, first!.column, first!.rule]).toEqual([4, 30, 'a']);
    expect([second!.line, second!.column, second!.rule]).toEqual([4, 30, 'b']);
  });
});

test('rules with the same name and labels are loaded, with a warning', () => {
  const text = inGroup('  - {record: a, expr: up}\n  - {record: a, expr: up, labels: {x: y}}\n  - {record: a, expr: down}\n  - {alert: a, expr: up}');
  expect(parseRuleFile(text, 'r.yml').warnings.map(formatRuleFileProblem)).toEqual(['r.yml:6:5: group "g", rule "a": another rule of the group has the same name and labels']);
  expect(checkRuleFile(text, 'r.yml')).toMatchObject({ rules: 4, problems: [] });
});

test('features of PromQL that are switched on', () => {
  const text = inGroup('  - {record: a, expr: "limitk(2, up)"}');
  expect(problemsOf(text)).toHaveLength(1);
  expect(checkRuleFile(text, 'r.yml', { experimentalFunctions: true }).problems).toEqual([]);
});
