/**
 * Regular expressions as Prometheus uses them: anchored at both ends, `.` matches line feeds, RE2 syntax, linear time.
 *
 *   compileAnchored   yes or no, for matchers: literals and sets where the plan finds them, else the lazy DFA
 *   compileSearch     groups too, for relabelling and label_replace: parsed as `^(?s:PATTERN)$`, Pike VM behind the same quick tests
 *
 * V8's own RegExp is not used: it backtracks, and its meaning of half the syntax differs.
 */
import { ModelError } from '../errors.ts';
import { compileTemplate, type Template } from './expand-template.ts';
import { LazyDfa } from './lazy-dfa.ts';
import { parseRe2 } from './parse-re2.ts';
import { searchPike } from './pike-vm.ts';
import { matchesGaps, planRegexp } from './plan-regexp.ts';
import { compileProgram, type Program } from './program.ts';
import type { RegexNode } from './syntax-tree.ts';

/** An anchored pattern without groups. */
export interface AnchoredRegexp {
  /** As given, without anchors. */
  readonly pattern: string;
  /** Every string that matches, each once, if they can be listed: for direct look-ups. */
  readonly setMatches: readonly string[] | undefined;
  /** Every match begins with this; '' if nothing is known. */
  readonly prefix: string;
  /** Whether the whole of a text matches. Needs no `this`. */
  readonly matches: (text: string) => boolean;
}

/** An anchored pattern with groups. */
export interface SearchRegexp {
  /** As given, without anchors. */
  readonly pattern: string;
  /** Names by group index; '' for the whole match and unnamed groups. */
  readonly groupNames: readonly string[];
  /** Whether `text` matches. */
  matches(text: string): boolean;
  /** Start and end of the whole match and of each group in UTF-16 units, -1 for a group that took no part; undefined if nothing matches. */
  match(text: string): Int32Array | undefined;
  /** A replacement with `$1`, `${name}` for this pattern's groups. */
  template(text: string): Template;
  /** `text` with the match replaced; unchanged if nothing matches. */
  replace(text: string, template: Template): string;
}

/**
 * Compiles a matcher's pattern.
 * @throws ModelError ERR_REGEX_SYNTAX with Go's text
 */
export function compileAnchored(pattern: string): AnchoredRegexp {
  const { root } = parseRe2(pattern, true);
  const plan = planRegexp(root);
  const { setMatches, prefix, suffix } = plan;
  return { pattern, setMatches, prefix, matches: createMatches() };

  function createMatches(): (text: string) => boolean {
    if (setMatches?.length === 1) return equals(setMatches[0]!);
    if (setMatches !== undefined) {
      const set = new Set(setMatches);
      return (text) => set.has(text);
    }
    const { gaps } = plan;
    if (gaps !== undefined) {
      // `.*` and `.+`.
      if (prefix === '' && suffix === '' && gaps.middles.length === 0) return gaps.gaps[0] === 0 ? () => true : (text) => text !== '';
      return (text) => matchesGaps(gaps, text);
    }
    const inner = plan.restIsInner;
    // Most matchers of a query meet few values, many none: build the automaton at the first one.
    let dfa: LazyDfa | undefined;
    return (text) => {
      if (!text.startsWith(prefix) || !text.endsWith(suffix)) return false;
      dfa ??= new LazyDfa(compileProgram(plan.rest));
      if (!inner) return dfa.matches(text, 0, text.length);
      const end = text.length - suffix.length;
      return end >= prefix.length && dfa.matches(text, prefix.length, end);
    };
  }
}

function equals(wanted: string): (text: string) => boolean {
  return (text) => text === wanted;
}

/**
 * Compiles the pattern of a relabelling rule or of label_replace.
 * @throws ModelError ERR_REGEX_SYNTAX with Go's text, which shows the pattern with its anchors
 */
export function compileSearch(pattern: string): SearchRegexp {
  const { root, groupNames } = parseRe2(`^(?s:${pattern})$`, false);
  const anchored = compileBalanced(pattern);
  const slotCount = 2 * groupNames.length;
  const whole = anchored !== undefined && matchesWholly(root, groupNames.length);
  let program: Program | undefined;

  function match(text: string): Int32Array | undefined {
    if (anchored !== undefined && !anchored.matches(text)) return undefined;
    if (whole) {
      const slots = new Int32Array(slotCount);
      for (let i = 1; i < slotCount; i += 2) slots[i] = text.length;
      return slots;
    }
    program ??= compileProgram(root);
    return searchPike(program, text, slotCount);
  }

  return {
    pattern,
    groupNames,
    matches: (text) => (anchored === undefined ? match(text) !== undefined : anchored.matches(text)),
    match,
    template: (text) => compileTemplate(text, groupNames),
    replace(text, template) {
      const slots = match(text);
      return slots === undefined ? text : text.slice(0, slots[0]) + template.expand(text, slots) + text.slice(slots[1]);
    },
  };
}

/** The pattern on its own; undefined for the odd one that is only valid between anchors, such as `a)|(b`, which Go takes as it stands. */
function compileBalanced(pattern: string): AnchoredRegexp | undefined {
  try {
    return compileAnchored(pattern);
  } catch (error) {
    if (error instanceof ModelError) return undefined;
    throw error;
  }
}

/** Whether the only group, if any, is around everything, as in `(.*)`: then a match needs no search. */
function matchesWholly(root: RegexNode, groupCount: number): boolean {
  if (groupCount === 1) return true;
  return groupCount === 2 && root.op === 'concat' && root.subs.length === 3 && root.subs[1]!.op === 'capture';
}
