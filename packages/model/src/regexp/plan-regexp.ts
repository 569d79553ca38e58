/**
 * Looks at a syntax tree for what can be answered without an automaton. The pattern is taken as anchored at both ends.
 *
 *   node|job|up        finite: the strings themselves             Set, and direct postings look-ups
 *   foo.*bar           literals with gaps between                 startsWith, indexOf, endsWith
 *   10\.244\.[0-9]+    literal prefix (and suffix) + automaton    startsWith first
 */
import { CODE_POINT_MAX, concatNode, EMPTY, type RegexNode } from './syntax-tree.ts';

/** Most strings made by multiplying out classes and alternatives; plain lists of alternatives may be longer. */
const PRODUCT_MAX = 256;

/** Literals with gaps: text = prefix gap literal gap literal … gap suffix, every gap any text of at least so many UTF-16 units (0 or 1). */
export interface GapPlan {
  readonly prefix: string;
  readonly suffix: string;
  /** Literals between the gaps, `gaps.length - 1` of them. */
  readonly middles: readonly string[];
  readonly gaps: readonly number[];
}

/** What is known about the strings that match. */
export interface RegexPlan {
  /** All of them, each once, if they are few enough to list. */
  readonly setMatches: readonly string[] | undefined;
  /** Present if literals and gaps say everything. */
  readonly gaps: GapPlan | undefined;
  /** Every match begins and ends so; '' if nothing is known. They do not overlap. */
  readonly prefix: string;
  readonly suffix: string;
  /** What is left to match between prefix and suffix where there are no assertions; else the whole tree. */
  readonly rest: RegexNode;
  /** Whether prefix and suffix are taken off `rest`. */
  readonly restIsInner: boolean;
}

/** Analyses a tree that has to match the whole of a string. */
export function planRegexp(root: RegexNode): RegexPlan {
  const bare = withoutEdges(root, true, true);
  const setMatches = listMatches(bare);
  const parts = bare.op === 'concat' ? bare.subs : [bare];
  let start = 0;
  let prefix = '';
  for (; start < parts.length && parts[start]!.op === 'literal'; start++) prefix += literalText(parts[start]!);
  let end = parts.length;
  let suffix = '';
  for (; end > start && parts[end - 1]!.op === 'literal'; end--) suffix = literalText(parts[end - 1]!) + suffix;
  const inner = parts.slice(start, end);
  const restIsInner = !inner.some(hasAssertion);
  return {
    setMatches: setMatches === undefined ? undefined : [...new Set(setMatches)],
    gaps: planGaps(prefix, suffix, inner),
    prefix,
    suffix,
    rest: restIsInner ? concatNode(inner) : bare,
    restIsInner,
  };
}

/** Whether `text` fits the plan. The leftmost place for each literal leaves the most room for those behind it. */
export function matchesGaps(plan: GapPlan, text: string): boolean {
  if (!text.startsWith(plan.prefix) || !text.endsWith(plan.suffix)) return false;
  let at = plan.prefix.length;
  for (let i = 0; i < plan.middles.length; i++) {
    const found = text.indexOf(plan.middles[i]!, at + plan.gaps[i]!);
    if (found < 0) return false;
    at = found + plan.middles[i]!.length;
  }
  return text.length - plan.suffix.length - at >= plan.gaps.at(-1)!;
}

function literalText(node: RegexNode): string {
  return node.op === 'literal' ? String.fromCodePoint(node.codePoint) : '';
}

function hasAssertion(node: RegexNode): boolean {
  switch (node.op) {
    case 'assert':
      return true;
    case 'capture':
    case 'repeat':
      return hasAssertion(node.sub);
    case 'concat':
    case 'alternate':
      return node.subs.some(hasAssertion);
    default:
      return false;
  }
}

/** Without captures, and without `^` and `$` where they say only what anchoring says; nested concatenations flattened. */
function withoutEdges(node: RegexNode, atStart: boolean, atEnd: boolean): RegexNode {
  switch (node.op) {
    case 'assert':
      return (node.assertion === 'beginText' && atStart) || (node.assertion === 'endText' && atEnd) ? EMPTY : node;
    case 'capture':
      return withoutEdges(node.sub, atStart, atEnd);
    case 'alternate':
      return { ...node, subs: node.subs.map((sub) => withoutEdges(sub, atStart, atEnd)) };
    case 'repeat':
      return { ...node, sub: withoutEdges(node.sub, false, false) };
    case 'concat': {
      const last = node.subs.length - 1;
      const subs = node.subs.flatMap((sub, i) => {
        const bare = withoutEdges(sub, atStart && i === 0, atEnd && i === last);
        return bare.op === 'concat' ? bare.subs : bare.op === 'empty' ? [] : [bare];
      });
      return concatNode(subs);
    }
    default:
      return node;
  }
}

/** Every string a node matches; undefined if they are infinite or too many. */
function listMatches(node: RegexNode): string[] | undefined {
  switch (node.op) {
    case 'empty':
      return [''];
    case 'literal':
      return [literalText(node)];
    case 'class': {
      const matches: string[] = [];
      for (let i = 0; i < node.ranges.length; i += 2) {
        if (node.ranges[i + 1]! - node.ranges[i]! + matches.length >= PRODUCT_MAX) return undefined;
        for (let c = node.ranges[i]!; c <= node.ranges[i + 1]!; c++) matches.push(String.fromCodePoint(c));
      }
      return matches;
    }
    case 'alternate': {
      const matches: string[] = [];
      for (const sub of node.subs) {
        const more = listMatches(sub);
        if (more === undefined) return undefined;
        for (const text of more) matches.push(text);
      }
      return matches;
    }
    case 'concat':
      return multiply(node.subs);
    case 'repeat': {
      if (node.max < 0) return undefined;
      const matches: string[] = [];
      for (let count = node.min; count <= node.max; count++) {
        const more = multiply(Array.from({ length: count }, () => node.sub));
        if (more === undefined || more.length + matches.length > PRODUCT_MAX) return undefined;
        for (const text of more) matches.push(text);
      }
      return matches;
    }
    default:
      return undefined;
  }
}

function multiply(nodes: readonly RegexNode[]): string[] | undefined {
  let products = [''];
  for (const node of nodes) {
    const factors = listMatches(node);
    if (factors === undefined || (products.length > 1 && factors.length > 1 && products.length * factors.length > PRODUCT_MAX)) return undefined;
    products = products.length === 1 && factors.length > 1 ? factors.map((text) => products[0]! + text) : products.flatMap((head) => factors.map((tail) => head + tail));
  }
  return products;
}

/** Reads `inner` as gaps (`.*`, `.+`, both across lines) with literals between; undefined if anything else is in it. */
function planGaps(prefix: string, suffix: string, inner: readonly RegexNode[]): GapPlan | undefined {
  const middles: string[] = [];
  const gaps: number[] = [];
  let afterGap = false;
  for (const node of inner) {
    if (node.op === 'repeat' && node.max < 0 && node.min <= 1 && isAny(node.sub)) {
      // Two gaps in a row are one, if together they want at most one code point.
      if (afterGap && node.min + gaps.at(-1)! > 1) return undefined;
      if (afterGap) gaps[gaps.length - 1] = gaps.at(-1)! + node.min;
      else gaps.push(node.min);
      afterGap = true;
    } else if (node.op === 'literal') {
      if (afterGap) middles.push('');
      middles[middles.length - 1] += literalText(node);
      afterGap = false;
    } else return undefined;
  }
  return gaps.length === 0 ? undefined : { prefix, suffix, middles, gaps };
}

function isAny(node: RegexNode): boolean {
  return node.op === 'class' && node.ranges.length === 2 && node.ranges[0] === 0 && node.ranges[1] === CODE_POINT_MAX;
}
