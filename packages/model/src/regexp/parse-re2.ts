/**
 * Parses the regular expression syntax of RE2 as Go's regexp/syntax takes it (its Perl flags), with Go's error texts.
 *
 * One pass over the pattern. A frame per open parenthesis holds the finished alternatives and the items of the current one:
 *
 *   a|b(c|d*        frames:  root { alternatives: [a], items: [b] }   group 1 { alternatives: [c], items: [d*] }
 *
 * Refused as in Go: look-around, back-references, \C, \Z, x{1001}, a**, unknown escapes.
 * Source: RE2 wiki "Syntax"; Go regexp/syntax documentation; texts observed from Go 1.26.
 */
import { ModelError } from '../errors.ts';
import { cleanRanges, foldCodePoint, foldRanges, negateRanges, PERL_CLASSES, POSIX_CLASSES, unicodeClass } from './code-points.ts';
import { alternateNode, ANY_CHAR, ANY_CHAR_NOT_NL, type Assertion, classNode, concatNode, type Ranges, type RegexNode } from './syntax-tree.ts';

/** Highest tree, most copies by nested counted repetition, largest program in instructions: the limits of Go. */
const HEIGHT_MAX = 1000;
const REPEAT_MAX = 1000;
const SIZE_MAX = Math.floor((128 * 1024 * 1024) / 40);

/** A parsed pattern. */
export interface ParsedRegex {
  readonly root: RegexNode;
  /** Names of the groups by index; index 0, the whole match, and unnamed groups are ''. */
  readonly groupNames: readonly string[];
}

/**
 * Parses a pattern.
 * @param dotMatchesNewline whether `.` matches the line feed before any flag says otherwise
 * @throws ModelError ERR_REGEX_SYNTAX: "error parsing regexp: missing closing ): `a(`"
 */
export function parseRe2(pattern: string, dotMatchesNewline: boolean): ParsedRegex {
  return new Parser(pattern, dotMatchesNewline).parse();
}

interface Flags {
  readonly fold: boolean;
  readonly dotMatchesNewline: boolean;
  /** `^` and `$` match at lines. */
  readonly multiLine: boolean;
  /** `*` is lazy, `*?` greedy. */
  readonly ungreedy: boolean;
}

interface Frame {
  readonly alternatives: RegexNode[];
  items: RegexNode[];
  /** Group index; 0 for the root and for groups that do not capture. */
  readonly index: number;
  readonly name: string;
  /** In force outside the group. */
  readonly flagsOutside: Flags;
}

const SIMPLE_ASSERTIONS: ReadonlyMap<string, Assertion> = new Map<string, Assertion>([
  ['A', 'beginText'],
  ['z', 'endText'],
  ['b', 'wordBoundary'],
  ['B', 'noWordBoundary'],
]);
const C_ESCAPES: ReadonlyMap<string, number> = new Map([
  ['a', 7],
  ['f', 12],
  ['n', 10],
  ['r', 13],
  ['t', 9],
  ['v', 11],
]);

class Parser {
  readonly #pattern: string;
  #at = 0;
  #flags: Flags;
  #frames: Frame[] = [];
  readonly #groupNames: string[] = [''];

  constructor(pattern: string, dotMatchesNewline: boolean) {
    this.#pattern = pattern;
    this.#flags = { fold: false, dotMatchesNewline, multiLine: false, ungreedy: false };
    this.#open(0, '');
  }

  parse(): ParsedRegex {
    const pattern = this.#pattern;
    /** Where the repetition just before this item began, -1 if the item before was none: `a**` is refused. */
    let repeatStart = -1;
    while (this.#at < pattern.length) {
      const start = this.#at;
      let isRepeat = false;
      switch (pattern[start]) {
        case '(':
          if (pattern[start + 1] === '?') this.#parseFlags();
          else {
            this.#at++;
            this.#open(this.#groupNames.push('') - 1, '');
          }
          break;
        case '|':
          this.#at++;
          this.#closeAlternative();
          break;
        case ')':
          this.#at++;
          this.#close();
          break;
        case '^':
          this.#at++;
          this.#assert(this.#flags.multiLine ? 'beginLine' : 'beginText');
          break;
        case '$':
          this.#at++;
          this.#assert(this.#flags.multiLine ? 'endLine' : 'endText');
          break;
        case '.':
          this.#at++;
          this.#push(classNode(this.#flags.dotMatchesNewline ? ANY_CHAR : ANY_CHAR_NOT_NL));
          break;
        case '[':
          this.#push(simplifiedClass(this.#parseClass()));
          break;
        case '*':
        case '+':
        case '?':
          this.#at++;
          this.#repeat(pattern[start] === '+' ? 1 : 0, pattern[start] === '?' ? 1 : -1, start, repeatStart, false);
          isRepeat = true;
          break;
        case '{':
          isRepeat = this.#parseCount(repeatStart);
          break;
        case '\\':
          this.#parseBackslash();
          break;
        default:
          this.#pushLiteral(this.#codePoint());
      }
      repeatStart = isRepeat ? start : -1;
    }
    if (this.#frames.length !== 1) throw this.#error('missing closing )', pattern);
    const root = this.#finish(this.#frames[0]!);
    if (sizeOf(root) > SIZE_MAX) throw this.#error('expression too large', pattern);
    return { root, groupNames: this.#groupNames };
  }

  #error(reason: string, fragment: string): ModelError {
    return new ModelError('ERR_REGEX_SYNTAX', `error parsing regexp: ${reason}: \`${fragment}\``);
  }

  /** Reads one code point at the cursor. */
  #codePoint(): number {
    const codePoint = this.#pattern.codePointAt(this.#at)!;
    if (codePoint >= 0xd800 && codePoint <= 0xdfff) throw this.#error('invalid UTF-8', this.#pattern.slice(this.#at));
    this.#at += codePoint > 0xffff ? 2 : 1;
    return codePoint;
  }

  #push(node: RegexNode): void {
    if (node.height > HEIGHT_MAX) throw this.#error('expression nests too deeply', this.#pattern);
    this.#frames.at(-1)!.items.push(node);
  }

  #pushLiteral(codePoint: number): void {
    this.#push(this.#flags.fold ? simplifiedClass(foldCodePoint(codePoint)) : { op: 'literal', codePoint, height: 1 });
  }

  #assert(assertion: Assertion): void {
    this.#push({ op: 'assert', assertion, height: 1 });
  }

  #open(index: number, name: string, flagsInside: Flags = this.#flags): void {
    this.#frames.push({ alternatives: [], items: [], index, name, flagsOutside: this.#flags });
    this.#flags = flagsInside;
  }

  #closeAlternative(): void {
    const frame = this.#frames.at(-1)!;
    frame.alternatives.push(concatNode(frame.items));
    frame.items = [];
  }

  #finish(frame: Frame): RegexNode {
    const last = concatNode(frame.items);
    const node = frame.alternatives.length === 0 ? last : alternateNode([...frame.alternatives, last]);
    if (node.height > HEIGHT_MAX) throw this.#error('expression nests too deeply', this.#pattern);
    return node;
  }

  #close(): void {
    if (this.#frames.length === 1) throw this.#error('unexpected )', this.#pattern);
    const frame = this.#frames.pop()!;
    const sub = this.#finish(frame);
    this.#flags = frame.flagsOutside;
    this.#push(frame.index === 0 ? sub : { op: 'capture', index: frame.index, name: frame.name, sub, height: sub.height + 1 });
  }

  /** `(?P<name>`, `(?<name>`, `(?flags)`, `(?flags:`. */
  #parseFlags(): void {
    const pattern = this.#pattern;
    const start = this.#at;
    const nameStart = pattern.startsWith('(?P<', start) && pattern.length > start + 4 ? 4 : pattern.startsWith('(?<', start) && pattern.length > start + 3 ? 3 : 0;
    if (nameStart > 0) {
      const end = pattern.indexOf('>', start);
      if (end < 0) throw this.#error('invalid named capture', pattern.slice(start));
      const name = pattern.slice(start + nameStart, end);
      if (!/^[A-Za-z0-9_]+$/.test(name)) throw this.#error('invalid named capture', pattern.slice(start, end + 1));
      this.#at = end + 1;
      this.#open(this.#groupNames.push(name) - 1, name);
      return;
    }
    this.#at += 2;
    let flags = this.#flags;
    let on = true;
    let sawFlag = false;
    while (this.#at < pattern.length) {
      const character = String.fromCodePoint(this.#codePoint());
      if (character === 'i') flags = { ...flags, fold: on };
      else if (character === 'm') flags = { ...flags, multiLine: on };
      else if (character === 's') flags = { ...flags, dotMatchesNewline: on };
      else if (character === 'U') flags = { ...flags, ungreedy: on };
      else if (character === '-' && on) {
        on = false;
        sawFlag = false;
        continue;
      } else if ((character === ':' || character === ')') && (on || sawFlag)) {
        if (character === ':') this.#open(0, '', flags);
        else this.#flags = flags;
        return;
      } else break;
      sawFlag = true;
    }
    throw this.#error('invalid or unsupported Perl syntax', pattern.slice(start, this.#at));
  }

  /**
   * Repeats the item before the operator, whose text is [start, cursor) and perhaps a `?`.
   * @param repeatStart where the repetition right before began, -1 if there is none
   */
  #repeat(min: number, max: number, start: number, repeatStart: number, counted: boolean): void {
    let lazy = this.#flags.ungreedy;
    if (this.#pattern[this.#at] === '?') {
      this.#at++;
      lazy = !lazy;
    }
    if (repeatStart >= 0) throw this.#error('invalid nested repetition operator', this.#pattern.slice(repeatStart, this.#at));
    const items = this.#frames.at(-1)!.items;
    const sub = items.pop();
    if (sub === undefined) throw this.#error('missing argument to repetition operator', this.#pattern.slice(start, this.#at));
    const node: RegexNode = { op: 'repeat', min, max, lazy, sub, height: sub.height + 1 };
    if (counted && (min >= 2 || max >= 2) && !fitsRepeats(node, REPEAT_MAX)) throw this.#error('invalid repeat count', this.#pattern.slice(start, this.#at));
    this.#push(node);
  }

  /** `{2}`, `{2,}`, `{2,3}`; anything else is a literal brace. Says whether it was a repetition. */
  #parseCount(repeatStart: number): boolean {
    const start = this.#at;
    const count = /\{(0|[1-9][0-9]*)(,(0|[1-9][0-9]*)?)?\}/y;
    count.lastIndex = start;
    const found = count.exec(this.#pattern);
    if (found === null) {
      this.#at++;
      this.#pushLiteral(0x7b);
      return false;
    }
    this.#at = count.lastIndex;
    const min = Number(found[1]);
    const max = found[2] === undefined ? min : found[3] === undefined ? -1 : Number(found[3]);
    if (min > REPEAT_MAX || max > REPEAT_MAX || (max >= 0 && min > max)) throw this.#error('invalid repeat count', found[0]);
    this.#repeat(min, max, start, repeatStart, true);
    return true;
  }

  #parseBackslash(): void {
    const start = this.#at;
    const next = this.#pattern[start + 1];
    const assertion = next === undefined ? undefined : SIMPLE_ASSERTIONS.get(next);
    if (assertion !== undefined) {
      this.#at += 2;
      this.#assert(assertion);
      return;
    }
    if (next === 'C') throw this.#error('invalid escape sequence', '\\C');
    if (next === 'Q') {
      const end = this.#pattern.indexOf('\\E', start + 2);
      const stop = end < 0 ? this.#pattern.length : end;
      this.#at += 2;
      while (this.#at < stop) this.#pushLiteral(this.#codePoint());
      if (end >= 0) this.#at = end + 2;
      return;
    }
    const ranges = this.#parseUnicodeEscape() ?? this.#parsePerlEscape();
    if (ranges !== undefined) this.#push(simplifiedClass(ranges));
    else this.#pushLiteral(this.#parseEscape());
  }

  /** `\pL`, `\p{Greek}`, `\P{^Lu}`; undefined if the cursor is at something else. */
  #parseUnicodeEscape(): Ranges | undefined {
    const pattern = this.#pattern;
    const start = this.#at;
    if (!/^\\p/i.test(pattern.slice(start, start + 2))) return undefined;
    let negated = pattern[start + 1] === 'P';
    this.#at += 2;
    let name = this.#at < pattern.length ? String.fromCodePoint(this.#codePoint()) : '';
    if (name === '{') {
      const end = pattern.indexOf('}', start);
      if (end < 0) throw this.#error('invalid character class range', pattern.slice(start));
      name = pattern.slice(start + 3, end);
      this.#at = end + 1;
    }
    if (name.startsWith('^')) {
      negated = !negated;
      name = name.slice(1);
    }
    const ranges = unicodeClass(name);
    if (ranges === undefined) throw this.#error('invalid character class range', pattern.slice(start, this.#at));
    return this.#signed(ranges, negated);
  }

  /** `\d \D \s \S \w \W`; undefined if the cursor is at something else. */
  #parsePerlEscape(): Ranges | undefined {
    const pattern = this.#pattern;
    const letter = pattern[this.#at] === '\\' ? pattern[this.#at + 1] : undefined;
    const ranges = letter === undefined ? undefined : PERL_CLASSES.get(letter.toLowerCase());
    if (ranges === undefined) return undefined;
    this.#at += 2;
    return this.#signed(ranges, letter !== letter!.toLowerCase());
  }

  #signed(ranges: Ranges, negated: boolean): Ranges {
    const folded = this.#flags.fold ? foldRanges(ranges) : ranges;
    return negated ? negateRanges(folded) : folded;
  }

  /** An escape that stands for one code point. */
  #parseEscape(): number {
    const pattern = this.#pattern;
    const start = this.#at;
    this.#at++;
    if (this.#at >= pattern.length) throw this.#error('trailing backslash at end of expression', '');
    const codePoint = this.#codePoint();
    const character = String.fromCodePoint(codePoint);
    const named = C_ESCAPES.get(character);
    if (named !== undefined) return named;
    const octal = /[0-7]{1,3}/y;
    octal.lastIndex = start + 1;
    const digits = octal.exec(pattern)?.[0];
    // One digit but 0 would be a back-reference.
    if (digits !== undefined && (digits.length > 1 || digits === '0')) {
      this.#at = octal.lastIndex;
      return Number.parseInt(digits, 8);
    }
    if (character === 'x') {
      const value = this.#parseHex();
      if (value !== undefined) return value;
    } else if (codePoint < 0x80 && !/[A-Za-z0-9]/.test(character)) return codePoint;
    throw this.#error('invalid escape sequence', pattern.slice(start, this.#at));
  }

  /** `41` or `{1F600}` after `\x`; undefined if malformed, with the cursor behind the offending character. */
  #parseHex(): number | undefined {
    const pattern = this.#pattern;
    if (this.#at >= pattern.length) return undefined;
    const first = String.fromCodePoint(this.#codePoint());
    if (first !== '{') {
      if (this.#at >= pattern.length) return undefined;
      const second = String.fromCodePoint(this.#codePoint());
      return /^[0-9A-Fa-f]{2}$/.test(first + second) ? Number.parseInt(first + second, 16) : undefined;
    }
    let value = 0;
    let digits = 0;
    while (this.#at < pattern.length) {
      const character = String.fromCodePoint(this.#codePoint());
      if (character === '}') return digits > 0 ? value : undefined;
      if (!/^[0-9A-Fa-f]$/.test(character)) return undefined;
      value = value * 16 + Number.parseInt(character, 16);
      if (value > 0x10ffff) return undefined;
      digits++;
    }
    return undefined;
  }

  /** A bracketed class, cursor at `[`. */
  #parseClass(): Ranges {
    const pattern = this.#pattern;
    const start = this.#at;
    this.#at++;
    const negated = pattern[this.#at] === '^';
    if (negated) this.#at++;
    const ranges: number[] = [];
    for (let first = true; first || pattern[this.#at] !== ']'; first = false) {
      const group = this.#parseNamedClass() ?? this.#parseUnicodeEscape() ?? this.#parsePerlEscape();
      if (group !== undefined) {
        for (const end of group) ranges.push(end);
        continue;
      }
      const rangeStart = this.#at;
      const lo = this.#parseClassCharacter(start);
      let hi = lo;
      if (pattern[this.#at] === '-' && this.#at + 1 < pattern.length && pattern[this.#at + 1] !== ']') {
        this.#at++;
        hi = this.#parseClassCharacter(start);
        if (hi < lo) throw this.#error('invalid character class range', pattern.slice(rangeStart, this.#at));
      }
      if (this.#flags.fold) for (const end of foldRanges([lo, hi])) ranges.push(end);
      else ranges.push(lo, hi);
    }
    this.#at++;
    const clean = cleanRanges(ranges);
    return negated ? negateRanges(clean) : clean;
  }

  #parseClassCharacter(classStart: number): number {
    if (this.#at >= this.#pattern.length) throw this.#error('missing closing ]', this.#pattern.slice(classStart));
    return this.#pattern[this.#at] === '\\' ? this.#parseEscape() : this.#codePoint();
  }

  /** `[:alpha:]` or `[:^alpha:]` inside a class; undefined if the cursor is at something else. */
  #parseNamedClass(): Ranges | undefined {
    const pattern = this.#pattern;
    if (!pattern.startsWith('[:', this.#at)) return undefined;
    const end = pattern.indexOf(':]', this.#at + 2);
    if (end < 0) return undefined;
    const text = pattern.slice(this.#at, end + 2);
    const negated = text[2] === '^';
    const ranges = POSIX_CLASSES.get(text.slice(negated ? 3 : 2, -2));
    if (ranges === undefined) throw this.#error('invalid character class range', text);
    this.#at = end + 2;
    return this.#signed(ranges, negated);
  }
}

/** A class of one code point is a literal: later stages look for literals. */
function simplifiedClass(ranges: Ranges): RegexNode {
  return ranges.length === 2 && ranges[0] === ranges[1] ? { op: 'literal', codePoint: ranges[0]!, height: 1 } : classNode(ranges);
}

/** Whether nested counted repetitions make at most `copies` copies of anything. */
function fitsRepeats(node: RegexNode, copies: number): boolean {
  let left = copies;
  if (node.op === 'repeat') {
    if (node.max === 0) return true;
    const count = node.max < 0 ? node.min : node.max;
    if (count > left) return false;
    if (count > 0) left = Math.floor(left / count);
  }
  if (node.op === 'repeat' || node.op === 'capture') return fitsRepeats(node.sub, left);
  if (node.op === 'concat' || node.op === 'alternate') return node.subs.every((sub) => fitsRepeats(sub, left));
  return true;
}

/** Instructions of the compiled node, counted as Go does. */
function sizeOf(node: RegexNode): number {
  switch (node.op) {
    case 'capture':
      return 2 + sizeOf(node.sub);
    case 'concat':
    case 'alternate': {
      let size = node.op === 'alternate' ? node.subs.length - 1 : 0;
      for (const sub of node.subs) size += sizeOf(sub);
      return size;
    }
    case 'repeat': {
      const sub = sizeOf(node.sub);
      if (node.max < 0) return node.min === 0 ? 2 + sub : 1 + node.min * sub;
      return Math.max(1, node.max * sub + node.max - node.min);
    }
    default:
      return 1;
  }
}
