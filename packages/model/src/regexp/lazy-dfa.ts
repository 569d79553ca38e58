/**
 * Says whether a whole string matches, in one look per code point: a deterministic automaton that is built while it runs.
 *
 *   state = the set of instructions the program could be at; table[state][symbol] = next state, computed when first needed
 *
 * Time is linear in the string, whatever the pattern. The table is bounded: when full it is thrown away and begun again.
 *
 * With assertions (`\b`, `(?m)^`, …) a state also holds what stood before the position; an assertion waits in the state until the next symbol, or
 * the end, decides it.
 * Source: Russ Cox, "Regular Expression Matching: the Virtual Machine Approach" and "Regular Expression Matching in the Wild".
 */
import { assertionHolds, KIND, OP, type Program, symbolOf } from './program.ts';

/** Kept before starting over: table entries and instructions in all states (4 bytes each), and states. */
const ENTRIES_MAX = 1 << 18;
const STATES_MAX = 10_000;
const UNKNOWN = -1;
const DEAD = 0;

/** Matches whole strings against one program. Keeps its table between calls. */
export class LazyDfa {
  readonly #program: Program;
  readonly #statesMax: number;
  #table: Int32Array = new Int32Array(0);
  /** 1 where the string may end. */
  #accepts: Uint8Array = new Uint8Array(0);
  /** Instructions of each state, ascending; and what stood before. */
  #instructions: Int32Array[] = [];
  #kinds: number[] = [];
  #instructionCount = 0;
  #stateOf = new Map<string, number>();
  /** Scratch of `#close`: instructions seen in this round. */
  readonly #seen: Uint32Array;
  #round = 0;
  readonly #stack: Int32Array;
  readonly #found: Int32Array;
  #foundCount = 0;

  /** `program` is kept, not changed. */
  constructor(program: Program) {
    this.#program = program;
    this.#statesMax = Math.min(STATES_MAX, Math.max(16, Math.floor(ENTRIES_MAX / program.symbolCount)));
    this.#seen = new Uint32Array(program.ops.length);
    this.#stack = new Int32Array(program.ops.length + 1);
    this.#found = new Int32Array(program.ops.length);
  }

  /** Whether the part [start, end) of the text matches: offsets in UTF-16 units, at code points. */
  matches(text: string, start: number, end: number): boolean {
    const program = this.#program;
    const ascii = program.asciiSymbols;
    const symbolCount = program.symbolCount;
    let state = this.#start();
    let table = this.#table;
    for (let i = start; i < end; i++) {
      let code = text.charCodeAt(i);
      let symbol: number;
      if (code < 128) symbol = ascii[code]!;
      else {
        if (code >= 0xd800 && code < 0xdc00) {
          code = text.codePointAt(i)!;
          if (code > 0xffff) i++;
        }
        symbol = symbolOf(program, code);
      }
      let next = table[state * symbolCount + symbol]!;
      if (next === UNKNOWN) {
        next = this.#step(state, symbol);
        table = this.#table;
      }
      if (next === DEAD) return false;
      state = next;
    }
    return this.#accepts[state] === 1;
  }

  /** The state before the first code point is number 1. */
  #start(): number {
    if (this.#instructions.length > 1) return 1;
    this.#reset();
    this.#begin();
    this.#add(0);
    return this.#intern(KIND.edge);
  }

  #reset(): void {
    this.#stateOf.clear();
    this.#instructions = [new Int32Array(0)];
    this.#kinds = [KIND.other];
    this.#instructionCount = 0;
    this.#table = new Int32Array(8 * this.#program.symbolCount).fill(UNKNOWN);
    this.#accepts = new Uint8Array(8);
  }

  #step(state: number, symbol: number): number {
    const { ops, x, members, symbolCount, symbolKinds, hasAssertions } = this.#program;
    const kind = symbolKinds[symbol]!;
    const from = hasAssertions ? this.#decide(state, kind) : this.#instructions[state]!;
    this.#begin();
    for (let i = 0; i < from.length; i++) {
      const pc = from[i]!;
      if (ops[pc] === OP.class && members[x[pc]! * symbolCount + symbol] === 1) this.#add(pc + 1);
    }
    if (this.#foundCount === 0) {
      this.#table[state * symbolCount + symbol] = DEAD;
      return DEAD;
    }
    if (this.#instructions.length >= this.#statesMax || this.#instructionCount > ENTRIES_MAX) {
      const found = this.#found.slice(0, this.#foundCount);
      this.#reset();
      this.#start();
      this.#found.set(found);
      this.#foundCount = found.length;
      return this.#intern(hasAssertions ? kind : KIND.edge);
    }
    const next = this.#intern(hasAssertions ? kind : KIND.edge);
    this.#table[state * symbolCount + symbol] = next;
    return next;
  }

  #begin(): void {
    this.#foundCount = 0;
    this.#round++;
  }

  /** Follows jumps and splits from `start`; what waits for a symbol, the end or an assertion goes to `#found`. */
  #add(start: number): void {
    const { ops, x, y } = this.#program;
    const stack = this.#stack;
    const seen = this.#seen;
    let depth = 0;
    stack[depth++] = start;
    while (depth > 0) {
      const pc = stack[--depth]!;
      if (seen[pc] === this.#round) continue;
      seen[pc] = this.#round;
      switch (ops[pc]) {
        case OP.jump:
          stack[depth++] = x[pc]!;
          break;
        case OP.split:
          stack[depth++] = y[pc]!;
          stack[depth++] = x[pc]!;
          break;
        case OP.save:
          stack[depth++] = pc + 1;
          break;
        default:
          this.#found[this.#foundCount++] = pc;
      }
    }
  }

  /** The instructions of a state once it is known what comes next: assertions that hold are passed, others dropped. */
  #decide(state: number, after: number): Int32Array {
    const { ops, x } = this.#program;
    const before = this.#kinds[state]!;
    this.#begin();
    for (const pc of this.#instructions[state]!) this.#add(pc);
    for (let i = 0; i < this.#foundCount; i++) {
      const pc = this.#found[i]!;
      if (ops[pc] === OP.assert && assertionHolds(x[pc]!, before, after)) this.#add(pc + 1);
    }
    return this.#found.slice(0, this.#foundCount);
  }

  /** The number of the state made of `#found`. */
  #intern(kind: number): number {
    const instructions = this.#found.slice(0, this.#foundCount).sort();
    const key = `${kind}:${instructions.join()}`;
    const known = this.#stateOf.get(key);
    if (known !== undefined) return known;
    const state = this.#instructions.push(instructions) - 1;
    this.#kinds.push(kind);
    this.#instructionCount += instructions.length;
    this.#stateOf.set(key, state);
    if (state >= this.#accepts.length) {
      const table = new Int32Array(2 * this.#table.length).fill(UNKNOWN);
      table.set(this.#table);
      this.#table = table;
      const accepts = new Uint8Array(2 * this.#accepts.length);
      accepts.set(this.#accepts);
      this.#accepts = accepts;
    }
    const atEnd = this.#program.hasAssertions ? this.#decide(state, KIND.edge) : instructions;
    this.#accepts[state] = atEnd.includes(this.#program.ops.length - 1) ? 1 : 0;
    return state;
  }
}
