/**
 * Regular expressions compiled to a small instruction set that both matchers run.
 *
 *   a*b     0 split 1 3      split x y   try x first, then y (greedy loops enter, lazy ones leave)
 *           1 class a        class r     one code point out of range set r
 *           2 jump 0         save n      remember the position in slot n
 *           3 class b        assert k    continue only if the assertion holds here
 *           4 match
 *
 * The code points are also divided into symbols: two code points that no class of the program tells apart are one symbol. Tables indexed by
 * symbol stay small (`\pL+` has two).
 */
import { rangesHave, WORD } from './code-points.ts';
import { type Assertion, CODE_POINT_MAX, type Ranges, type RegexNode } from './syntax-tree.ts';

export const OP = { class: 0, split: 1, jump: 2, save: 3, assert: 4, match: 5 } as const;

/** What stands left or right of a position, as far as assertions care. */
export const KIND = { edge: 0, word: 1, newline: 2, other: 3 } as const;

export const ASSERTION: Readonly<Record<Assertion, number>> = { beginText: 0, endText: 1, beginLine: 2, endLine: 3, wordBoundary: 4, noWordBoundary: 5 };

/** A compiled pattern. Instruction `pc` is `ops[pc]` with operands `x[pc]` and `y[pc]`. */
export interface Program {
  readonly ops: Uint8Array;
  readonly x: Int32Array;
  readonly y: Int32Array;
  /** Whether there is any assert instruction. */
  readonly hasAssertions: boolean;
  /** Symbols, numbered from 0. */
  readonly symbolCount: number;
  /** Symbol of each ASCII character. */
  readonly asciiSymbols: Uint16Array;
  /** First code point of each interval, ascending, beginning with 0, and the symbol of each. */
  readonly intervalStarts: Int32Array;
  readonly intervalSymbols: Uint16Array;
  /** KIND of each symbol; all `other` without assertions. */
  readonly symbolKinds: Uint8Array;
  /** 1 where range set `r` holds symbol `s`, at `r * symbolCount + s`. */
  readonly members: Uint8Array;
}

/** Compiles a tree. Counted repetitions are written out; the parser has bounded how far. */
export function compileProgram(root: RegexNode): Program {
  const emitter = new Emitter();
  emitter.emit(root);
  emitter.push(OP.match, 0, 0);
  return { ops: Uint8Array.from(emitter.ops), x: Int32Array.from(emitter.x), y: Int32Array.from(emitter.y), hasAssertions: emitter.hasAssertions, ...divideCodePoints(emitter.sets, emitter.hasAssertions) };
}

/** The symbol of a code point past ASCII. */
export function symbolOf(program: Program, codePoint: number): number {
  const starts = program.intervalStarts;
  let low = 0;
  let high = starts.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (starts[middle]! <= codePoint) low = middle;
    else high = middle - 1;
  }
  return program.intervalSymbols[low]!;
}

/** Whether an assertion holds between two kinds. */
export function assertionHolds(assertion: number, before: number, after: number): boolean {
  switch (assertion) {
    case ASSERTION.beginText:
      return before === KIND.edge;
    case ASSERTION.endText:
      return after === KIND.edge;
    case ASSERTION.beginLine:
      return before === KIND.edge || before === KIND.newline;
    case ASSERTION.endLine:
      return after === KIND.edge || after === KIND.newline;
    default:
      return ((before === KIND.word) !== (after === KIND.word)) === (assertion === ASSERTION.wordBoundary);
  }
}

/** Whether a node can match the empty string. */
export function canBeEmpty(node: RegexNode): boolean {
  switch (node.op) {
    case 'literal':
    case 'class':
      return false;
    case 'capture':
      return canBeEmpty(node.sub);
    case 'repeat':
      return node.min === 0 || canBeEmpty(node.sub);
    case 'concat':
      return node.subs.every(canBeEmpty);
    case 'alternate':
      return node.subs.some(canBeEmpty);
    default:
      return true;
  }
}

class Emitter {
  readonly ops: number[] = [];
  readonly x: number[] = [];
  readonly y: number[] = [];
  readonly sets: Ranges[] = [];
  readonly #setIndex = new Map<string, number>();
  hasAssertions = false;

  push(op: number, x: number, y: number): number {
    this.ops.push(op);
    this.x.push(x);
    this.y.push(y);
    return this.ops.length - 1;
  }

  emit(node: RegexNode): void {
    switch (node.op) {
      case 'empty':
        return;
      case 'literal':
        this.#emitSet([node.codePoint, node.codePoint]);
        return;
      case 'class':
        this.#emitSet(node.ranges);
        return;
      case 'assert':
        this.hasAssertions = true;
        this.push(OP.assert, ASSERTION[node.assertion], 0);
        return;
      case 'capture':
        this.push(OP.save, 2 * node.index, 0);
        this.emit(node.sub);
        this.push(OP.save, 2 * node.index + 1, 0);
        return;
      case 'concat':
        for (const sub of node.subs) this.emit(sub);
        return;
      case 'alternate':
        this.#emitAlternate(node.subs);
        return;
      case 'repeat':
        this.#emitRepeat(node.sub, node.min, node.max, node.lazy);
    }
  }

  #emitSet(ranges: Ranges): void {
    const key = ranges.join();
    let index = this.#setIndex.get(key);
    if (index === undefined) {
      index = this.sets.push(ranges) - 1;
      this.#setIndex.set(key, index);
    }
    this.push(OP.class, index, 0);
  }

  #emitAlternate(subs: readonly RegexNode[]): void {
    const jumps: number[] = [];
    for (let i = 0; i < subs.length; i++) {
      if (i === subs.length - 1) {
        this.emit(subs[i]!);
        break;
      }
      const split = this.push(OP.split, this.ops.length + 1, 0);
      this.emit(subs[i]!);
      jumps.push(this.push(OP.jump, 0, 0));
      this.y[split] = this.ops.length;
    }
    for (const jump of jumps) this.x[jump] = this.ops.length;
  }

  /** x{2,} is xx+, x{2,4} is xx(x(x)?)?, x* is (x+)? where x can be empty: that order of preference is Go's. */
  #emitRepeat(sub: RegexNode, min: number, max: number, lazy: boolean): void {
    if (max < 0) {
      if (min === 0 && !canBeEmpty(sub)) {
        const split = this.#split(lazy);
        this.emit(sub);
        this.push(OP.jump, split, 0);
        this.#leave(split, lazy);
        return;
      }
      const skip = min === 0 ? this.#split(lazy) : -1;
      for (let i = 1; i < min; i++) this.emit(sub);
      const start = this.ops.length;
      this.emit(sub);
      const again = this.push(OP.split, start, start);
      this.#leave(again, lazy);
      if (skip >= 0) this.#leave(skip, lazy);
      return;
    }
    for (let i = 0; i < min; i++) this.emit(sub);
    const skips: number[] = [];
    for (let i = min; i < max; i++) {
      skips.push(this.#split(lazy));
      this.emit(sub);
    }
    for (const skip of skips) this.#leave(skip, lazy);
  }

  /** A split that enters what follows; `#leave` sets where it goes otherwise. */
  #split(lazy: boolean): number {
    const next = this.ops.length + 1;
    return lazy ? this.push(OP.split, 0, next) : this.push(OP.split, next, 0);
  }

  #leave(split: number, lazy: boolean): void {
    if (lazy) this.x[split] = this.ops.length;
    else this.y[split] = this.ops.length;
  }
}

type SymbolTables = Pick<Program, 'symbolCount' | 'asciiSymbols' | 'intervalStarts' | 'intervalSymbols' | 'symbolKinds' | 'members'>;

/**
 * Cuts the code points at every end of every range, then gives intervals that are in the same sets the same symbol: starting from one symbol for
 * all, each set splits off its part of every symbol it touches.
 */
function divideCodePoints(sets: readonly Ranges[], hasAssertions: boolean): SymbolTables {
  const cuts = new Set<number>([0]);
  const splitters = hasAssertions ? [...sets, WORD, [10, 10]] : sets;
  for (const ranges of splitters) {
    for (let i = 0; i < ranges.length; i += 2) {
      cuts.add(ranges[i]!);
      if (ranges[i + 1]! < CODE_POINT_MAX) cuts.add(ranges[i + 1]! + 1);
    }
  }
  const starts = Int32Array.from(cuts).sort();
  const labels = new Int32Array(starts.length);
  let labelCount = 1;
  for (const ranges of splitters) {
    const moved = new Map<number, number>();
    for (let i = 0; i < ranges.length; i += 2) {
      for (let at = indexOfStart(starts, ranges[i]!); at < starts.length && starts[at]! <= ranges[i + 1]!; at++) {
        let target = moved.get(labels[at]!);
        if (target === undefined) {
          target = labelCount++;
          moved.set(labels[at]!, target);
        }
        labels[at] = target;
      }
    }
  }
  const symbolOfLabel = new Map<number, number>();
  const firstOfSymbol: number[] = [];
  const intervalSymbols = new Uint16Array(starts.length);
  for (let i = 0; i < starts.length; i++) {
    let symbol = symbolOfLabel.get(labels[i]!);
    if (symbol === undefined) {
      symbol = firstOfSymbol.push(starts[i]!) - 1;
      symbolOfLabel.set(labels[i]!, symbol);
    }
    intervalSymbols[i] = symbol;
  }
  const symbolCount = firstOfSymbol.length;
  const members = new Uint8Array(sets.length * symbolCount);
  const symbolKinds = new Uint8Array(symbolCount).fill(KIND.other);
  for (let symbol = 0; symbol < symbolCount; symbol++) {
    const codePoint = firstOfSymbol[symbol]!;
    for (let set = 0; set < sets.length; set++) if (rangesHave(sets[set]!, codePoint)) members[set * symbolCount + symbol] = 1;
    if (hasAssertions) symbolKinds[symbol] = codePoint === 10 ? KIND.newline : rangesHave(WORD, codePoint) ? KIND.word : KIND.other;
  }
  const asciiSymbols = new Uint16Array(128);
  for (let c = 0, at = 0; c < 128; c++) {
    if (at + 1 < starts.length && starts[at + 1] === c) at++;
    asciiSymbols[c] = intervalSymbols[at]!;
  }
  return { symbolCount, asciiSymbols, intervalStarts: starts, intervalSymbols, symbolKinds, members };
}

/** Where `value`, which is there, stands in ascending `starts`. */
function indexOfStart(starts: Int32Array, value: number): number {
  let low = 0;
  let high = starts.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (starts[middle]! < value) low = middle + 1;
    else high = middle;
  }
  return low;
}
