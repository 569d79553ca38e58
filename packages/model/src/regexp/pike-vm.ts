/**
 * Finds where a pattern and its groups match, without backtracking: all ways to match advance together, one code point at a time.
 *
 *   threads of a position = instructions in order of preference, each with its own capture slots
 *
 * A thread that reaches `match` beats those behind it; those before it go on. Time is program × string, whatever the pattern.
 * Leftmost first match, earlier alternatives preferred, as in Perl and Go.
 * Source: Russ Cox, "Regular Expression Matching: the Virtual Machine Approach".
 */
import { assertionHolds, KIND, OP, type Program, symbolOf } from './program.ts';

/** Threads at one position: a sparse set of instructions in order, with capture slots per instruction. */
interface Threads {
  /** Instructions, best first. */
  readonly order: Int32Array;
  count: number;
  /** Position at which an instruction was last added, to add each once. */
  readonly addedAt: Int32Array;
  /** `slotCount` slots per instruction. */
  readonly slots: Int32Array;
}

/**
 * Searches `text` for the program.
 * @param slotCount two per group, the whole match first
 * @returns slots: start and end of each group in UTF-16 units, -1 where a group took no part; undefined if nothing matches
 */
export function searchPike(program: Program, text: string, slotCount: number): Int32Array | undefined {
  const { ops, x, members, symbolCount } = program;
  let current = newThreads(ops.length, slotCount);
  let next = newThreads(ops.length, slotCount);
  const fresh = new Int32Array(slotCount);
  let best: Int32Array | undefined;
  let before: number = KIND.edge;
  for (let at = 0; ; ) {
    const width = at < text.length ? (text.codePointAt(at)! > 0xffff ? 2 : 1) : 0;
    const symbol = width === 0 ? -1 : symbolAt(program, text.codePointAt(at)!);
    const after: number = width === 0 ? KIND.edge : program.symbolKinds[symbol]!;
    if (best === undefined) {
      fresh.fill(-1);
      fresh[0] = at;
      addThread(program, current, 0, at, fresh, slotCount, before, after);
    }
    next.count = 0;
    for (let i = 0; i < current.count; i++) {
      const pc = current.order[i]!;
      if (ops[pc] === OP.match) {
        best = current.slots.slice(pc * slotCount, (pc + 1) * slotCount);
        best[1] = at;
        break;
      }
      if (width > 0 && members[x[pc]! * symbolCount + symbol] === 1) {
        const position = at + width;
        const behind = position < text.length ? program.symbolKinds[symbolAt(program, text.codePointAt(position)!)]! : KIND.edge;
        addThread(program, next, pc + 1, position, current.slots.slice(pc * slotCount, (pc + 1) * slotCount), slotCount, after, behind);
      }
    }
    if (width === 0 || (next.count === 0 && best !== undefined)) return best;
    at += width;
    before = after;
    const swap = current;
    current = next;
    next = swap;
  }
}

function newThreads(instructions: number, slotCount: number): Threads {
  return { order: new Int32Array(instructions), count: 0, addedAt: new Int32Array(instructions).fill(-1), slots: new Int32Array(instructions * slotCount) };
}

function symbolAt(program: Program, codePoint: number): number {
  return codePoint < 128 ? program.asciiSymbols[codePoint]! : symbolOf(program, codePoint);
}

/** Adds what `start` leads to without reading: class and match instructions, in order of preference. `slots` is changed and restored. */
function addThread(program: Program, threads: Threads, start: number, at: number, slots: Int32Array, slotCount: number, before: number, after: number): void {
  const { ops, x, y } = program;
  // Entries ≥ 0 are instructions; a negative one, ~slot, restores that slot to the value below it.
  const stack: number[] = [start];
  while (stack.length > 0) {
    const pc = stack.pop()!;
    if (pc < 0) {
      slots[~pc] = stack.pop()!;
      continue;
    }
    if (threads.addedAt[pc] === at) continue;
    threads.addedAt[pc] = at;
    switch (ops[pc]) {
      case OP.jump:
        stack.push(x[pc]!);
        break;
      case OP.split:
        stack.push(y[pc]!, x[pc]!);
        break;
      case OP.save:
        stack.push(slots[x[pc]!]!, ~x[pc]!, pc + 1);
        slots[x[pc]!] = at;
        break;
      case OP.assert:
        if (assertionHolds(x[pc]!, before, after)) stack.push(pc + 1);
        break;
      default:
        threads.order[threads.count++] = pc;
        threads.slots.set(slots, pc * slotCount);
    }
  }
}
