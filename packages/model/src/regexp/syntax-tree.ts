/**
 * The syntax tree of a regular expression in RE2 syntax.
 *
 *   a.*|(b)   alternate[ concat[ literal a, star(anyChar) ], capture 1( literal b ) ]
 *
 * Case-insensitive literals are classes already (`(?i)k` is `[Kk\u212a]`), so later stages know no flags.
 */

/** Code point ranges, flat and clean: lo, hi, lo, hi, …; ascending, disjoint, not touching; both ends inclusive. */
export type Ranges = readonly number[];

export type Assertion = 'beginText' | 'endText' | 'beginLine' | 'endLine' | 'wordBoundary' | 'noWordBoundary';

/** What a node matches. `height` is 1 for a leaf, else one more than the highest child. */
export type RegexNode =
  | { readonly op: 'empty'; readonly height: 1 }
  | { readonly op: 'literal'; readonly codePoint: number; readonly height: 1 }
  /** One code point out of the ranges; no range at all matches nothing. */
  | { readonly op: 'class'; readonly ranges: Ranges; readonly height: 1 }
  | { readonly op: 'assert'; readonly assertion: Assertion; readonly height: 1 }
  /** `index` counts from 1 in order of the opening parentheses; `name` is '' for unnamed ones. */
  | { readonly op: 'capture'; readonly index: number; readonly name: string; readonly sub: RegexNode; readonly height: number }
  /** `max` -1 is unbounded. `lazy` prefers fewer. */
  | { readonly op: 'repeat'; readonly min: number; readonly max: number; readonly lazy: boolean; readonly sub: RegexNode; readonly height: number }
  | { readonly op: 'concat'; readonly subs: readonly RegexNode[]; readonly height: number }
  | { readonly op: 'alternate'; readonly subs: readonly RegexNode[]; readonly height: number };

/** Largest code point. */
export const CODE_POINT_MAX = 0x10ffff;

/** Every code point. */
export const ANY_CHAR: Ranges = [0, CODE_POINT_MAX];
/** Every code point but the line feed. */
export const ANY_CHAR_NOT_NL: Ranges = [0, 9, 11, CODE_POINT_MAX];

/** The node that matches the empty string. */
export const EMPTY: RegexNode = { op: 'empty', height: 1 };

/** A node for one code point out of ranges. */
export function classNode(ranges: Ranges): RegexNode {
  return { op: 'class', ranges, height: 1 };
}

/** One after the other; a single part stands for itself. */
export function concatNode(subs: readonly RegexNode[]): RegexNode {
  if (subs.length === 0) return EMPTY;
  return subs.length === 1 ? subs[0]! : { op: 'concat', subs, height: 1 + maxHeight(subs) };
}

/** One of several, earlier ones preferred; a single one stands for itself. */
export function alternateNode(subs: readonly RegexNode[]): RegexNode {
  return subs.length === 1 ? subs[0]! : { op: 'alternate', subs, height: 1 + maxHeight(subs) };
}

function maxHeight(subs: readonly RegexNode[]): number {
  let height = 0;
  for (const sub of subs) height = Math.max(height, sub.height);
  return height;
}
