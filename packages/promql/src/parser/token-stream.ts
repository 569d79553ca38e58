/**
 * The parser's view of the tokens: one token of look-ahead, read only when asked for (a broken character behind a complete but wrong construct must
 * not hide the error in the construct), the limits on nesting, and the construct that unexpected tokens are blamed on.
 */
import { type PromqlError } from '../errors.ts';
import type { PositionRange } from './ast.ts';
import { Lexer } from './lex.ts';
import type { ParserOptions } from './options.ts';
import { parseError } from './position.ts';
import { describeToken, type Token } from './token.ts';

/**
 * Deepest nesting of parentheses, calls and operands, and greatest height of a syntax tree (a chain of n binary operators has height n).
 * Everything that walks a tree may recurse: 1000 levels stay far inside the stack of any JavaScript engine.
 */
export const DEPTH_MAX = 1000;

/** What `unexpected token` messages say after the token. */
export interface ErrorContext {
  /** The construct that was being read; `''` for none. */
  readonly where: string;
  /** What would have fitted; `''` for nothing in particular. */
  readonly expected: string;
}

const NO_CONTEXT: ErrorContext = { where: '', expected: '' };

export class TokenStream {
  readonly options: Required<ParserOptions>;
  readonly #lexer: Lexer;
  #ahead: Token | undefined;
  /** End of the last token taken, UTF-16 offset. */
  lastEnd = 0;
  #context: ErrorContext = NO_CONTEXT;
  #depth = 0;

  constructor(text: string, options: Required<ParserOptions>) {
    this.#lexer = new Lexer(text);
    this.options = options;
  }

  get text(): string {
    return this.#lexer.text;
  }

  /** The next token, not consumed. */
  peek(): Token {
    return (this.#ahead ??= this.#lexer.next());
  }

  /** Consumes and returns the next token. */
  take(): Token {
    const token = this.peek();
    this.#ahead = undefined;
    this.lastEnd = token.end;
    return token;
  }

  /** Consumes the next token if it is of that kind. */
  accept(kind: string): Token | undefined {
    return this.peek().kind === kind ? this.take() : undefined;
  }

  /** Consumes a token of that kind; anything else is unexpected. */
  expect(kind: string, context?: ErrorContext): Token {
    return this.accept(kind) ?? this.unexpected(context);
  }

  /** Blames the next token, in the given context or in the surrounding one. */
  unexpected(context: ErrorContext = this.#context): never {
    const where = context.where === '' ? '' : ` in ${context.where}`;
    const expected = context.expected === '' ? '' : `, expected ${context.expected}`;
    const token = this.peek();
    throw this.error(token, `unexpected ${describeToken(token)}${where}${expected}`);
  }

  /** Error at a place of the text. */
  error(pos: PositionRange, message: string): PromqlError {
    return parseError(this.text, { start: pos.start, end: pos.end }, message);
  }

  /** Runs `parse` with another context for unexpected tokens. */
  within<T>(context: ErrorContext, parse: () => T): T {
    const outer = this.#context;
    this.#context = context;
    const result = parse();
    this.#context = outer;
    return result;
  }

  /** Counts a level of nesting around `parse`. */
  nested<T>(parse: () => T): T {
    if (++this.#depth > DEPTH_MAX) throw this.error(this.peek(), `expression is nested deeper than ${DEPTH_MAX} levels`);
    const result = parse();
    this.#depth--;
    return result;
  }
}
