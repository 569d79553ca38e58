/**
 * The lexer: query text to tokens, one at a time. Which characters are legal depends on the place:
 *
 *   sum(rate(x{job="a"}[5m]))      statements  →  `{` braces `}`  →  `[` duration, and after its first number statements again `]`
 *
 * Brackets start in the strict duration state; a number or duration inside them returns to the statement state, which (while a bracket is open)
 * knows only the words of duration expressions. Messages depend on that, so it is kept. Source: Prometheus promql/parser/lex.go.
 */
import { parseError } from './position.ts';
import { describeRune, quoteRune, quoteString } from './quote.ts';
import { DURATION_WORDS, KEYWORDS, type Token, type TokenKind } from './token.ts';

const DECIMAL = '0123456789';
const HEXADECIMAL = '0123456789abcdefABCDEF';

function isSpace(char: string): boolean {
  return char === ' ' || char === '\t' || char === '\n' || char === '\r';
}

function isDigit(char: string): boolean {
  return char >= '0' && char <= '9' && char.length === 1;
}

function isAlpha(char: string): boolean {
  return char.length === 1 && ((char >= 'a' && char <= 'z') || (char >= 'A' && char <= 'Z') || char === '_');
}

function isAlphaNumeric(char: string): boolean {
  return isAlpha(char) || isDigit(char);
}

/** Hands out the tokens of one text. After the last it gives `eof` for ever; a character that fits nowhere throws. */
export class Lexer {
  readonly text: string;
  /** Start of the token being read and place of the next character, UTF-16 offsets. */
  #start = 0;
  #at = 0;
  #parenDepth = 0;
  #braceOpen = false;
  #bracketOpen = false;
  #inDuration = false;
  #gotColon = false;
  #gotDuration = false;

  constructor(text: string) {
    this.text = text;
  }

  /**
   * The next token; comments and space are skipped.
   * @throws PromqlError ERR_PARSE
   */
  next(): Token {
    this.#skipSpace();
    this.#start = this.#at;
    if (this.#braceOpen) return this.#insideBraces();
    return this.#inDuration ? this.#duration() : this.#statement();
  }

  /** True if the next character that is not space is `(`. */
  #parenFollows(): boolean {
    let at = this.#at;
    while (isSpace(this.text.charAt(at))) at++;
    return this.text.charAt(at) === '(';
  }

  /** Skips space and, where comments are allowed, comments. */
  #skipSpace(): void {
    for (;;) {
      const char = this.text.charAt(this.#at);
      if (isSpace(char)) this.#at++;
      else if (char === '#' && (this.#braceOpen || !this.#inDuration)) {
        while (this.#at < this.text.length && this.text[this.#at] !== '\n' && this.text[this.#at] !== '\r') this.#at++;
      } else return;
    }
  }

  /** The whole character at the cursor, `''` at the end. */
  #peek(): string {
    const code = this.text.codePointAt(this.#at);
    return code === undefined ? '' : code < 0x10000 ? this.text.charAt(this.#at) : String.fromCodePoint(code);
  }

  #take(): string {
    const char = this.#peek();
    this.#at += char.length;
    return char;
  }

  #accept(valid: string): boolean {
    const char = this.#peek();
    if (char === '' || !valid.includes(char)) return false;
    this.#at += char.length;
    return true;
  }

  #is(valid: string): boolean {
    const char = this.#peek();
    return char !== '' && valid.includes(char);
  }

  #emit(kind: TokenKind): Token {
    return { kind, text: this.text.slice(this.#start, this.#at), start: this.#start, end: this.#at };
  }

  #fail(message: string): never {
    throw parseError(this.text, { start: this.#start, end: this.text.length }, message);
  }

  #statement(): Token {
    const char = this.#take();
    switch (char) {
      case '':
        if (this.#parenDepth !== 0) this.#fail('unclosed left parenthesis');
        if (this.#bracketOpen) this.#fail('unclosed left bracket');
        return this.#emit('eof');
      case ',':
      case '*':
      case '/':
      case '%':
      case '+':
      case '-':
      case '^':
      case '@':
        return this.#emit(char);
      case '=':
        if (this.#peek() === '~') this.#fail(`unexpected character after '=': '~'`);
        return this.#emit(this.#accept('=') ? '==' : '=');
      case '!': {
        const after = this.#take();
        if (after !== '=') this.#fail(`unexpected character after '!': ${quoteRune(after)}`);
        return this.#emit('!=');
      }
      case '<':
      case '>':
        if (this.#accept('=')) return this.#emit(`${char}=`);
        return this.#emit(this.#accept('/') ? `${char}/` : char);
      case '"':
      case "'":
        return this.#string(char);
      case '`':
        return this.#rawString();
      case '(':
        this.#parenDepth++;
        return this.#emit(char);
      case ')':
        return this.#rightParen();
      case '{':
        this.#braceOpen = true;
        return this.#emit(char);
      case '[':
        if (this.#bracketOpen) this.#fail(`unexpected left bracket '['`);
        this.#gotColon = false;
        this.#bracketOpen = true;
        this.#inDuration = true;
        return this.#emit(char);
      case ']':
        if (!this.#bracketOpen) this.#fail(`unexpected right bracket ']'`);
        this.#bracketOpen = false;
        return this.#emit(char);
    }
    if (isDigit(char) || (char === '.' && isDigit(this.#peek()))) {
      this.#at -= 1;
      return this.#numberOrDuration();
    }
    if (isAlpha(char) || char === ':') return this.#bracketOpen ? this.#wordInBrackets(char) : this.#keywordOrIdentifier();
    return this.#fail(`unexpected character: ${quoteRune(char)}`);
  }

  #rightParen(): Token {
    const token = this.#emit(')');
    this.#parenDepth--;
    if (this.#parenDepth < 0) {
      this.#start = this.#at;
      this.#fail(`unexpected right parenthesis ')'`);
    }
    return token;
  }

  /** A colon or a word after the first number inside brackets. */
  #wordInBrackets(first: string): Token {
    if (first === ':') {
      if (this.#gotColon) this.#fail(`unexpected colon ':'`);
      this.#gotColon = true;
      return this.#emit(':');
    }
    return this.#durationWord(first) ?? this.#fail(`unexpected character: ${quoteRune(first)}, expected ':'`);
  }

  #durationWord(first: string): Token | undefined {
    if (!'srmSRM'.includes(first)) return undefined;
    while (isAlpha(this.#peek())) this.#at++;
    const word = this.text.slice(this.#start, this.#at).toLowerCase();
    return DURATION_WORDS.has(word) ? this.#emit(word) : undefined;
  }

  /** Inside `[`, before the first number after the bracket or a colon. */
  #duration(): Token {
    const char = this.#take();
    switch (char) {
      case '':
        return this.#fail('unexpected end of input in duration expression');
      case ']':
        this.#bracketOpen = false;
        this.#gotColon = false;
        this.#inDuration = false;
        return this.#emit(char);
      case ':':
        this.#start = this.#at;
        if (!this.#gotDuration) this.#fail('unexpected colon before duration in duration expression');
        if (this.#gotColon) this.#fail('unexpected repeated colon in duration expression');
        this.#gotColon = true;
        return { kind: ':', text: ':', start: this.#at - 1, end: this.#at };
      case '(':
        this.#parenDepth++;
        return this.#emit(char);
      case ')':
        return this.#rightParen();
      case '+':
      case '-':
      case '*':
      case '/':
      case '%':
      case '^':
      case ',':
        return this.#emit(char);
    }
    if (isDigit(char) || (char === '.' && isDigit(this.#peek()))) {
      this.#at -= 1;
      this.#gotDuration = true;
      this.#inDuration = false;
      return this.#numberOrDuration();
    }
    return this.#durationWord(char) ?? this.#fail(`unexpected character in duration expression: ${quoteRune(char)}`);
  }

  #insideBraces(): Token {
    const char = this.#take();
    switch (char) {
      case '':
        return this.#fail('unexpected end of input inside braces');
      case ',':
        return this.#emit(char);
      case '"':
      case "'":
        return this.#string(char);
      case '`':
        return this.#rawString();
      case '=':
        return this.#emit(this.#accept('~') ? '=~' : '=');
      case '!': {
        const after = this.#take();
        if (after !== '~' && after !== '=') this.#fail(`unexpected character after '!' inside braces: ${quoteRune(after)}`);
        return this.#emit(`!${after}`);
      }
      case '{':
        return this.#fail(`unexpected left brace '{'`);
      case '}':
        this.#braceOpen = false;
        return this.#emit(char);
    }
    if (!isAlpha(char)) this.#fail(`unexpected character inside braces: ${quoteRune(char)}`);
    while (isAlphaNumeric(this.#peek())) this.#at++;
    return this.#emit('identifier');
  }

  #keywordOrIdentifier(): Token {
    for (let char = this.#peek(); isAlphaNumeric(char) || char === ':'; char = this.#peek()) this.#at++;
    const text = this.text.slice(this.#start, this.#at);
    const word = text.toLowerCase();
    if (word === 'inf' || word === 'nan') return this.#emit('number');
    // `fill` and its kin became keywords late; as metric names they go on working.
    if (KEYWORDS.has(word)) return this.#emit(word.startsWith('fill') && !this.#parenFollows() ? 'identifier' : word);
    return this.#emit(text.includes(':') ? 'metricIdentifier' : 'identifier');
  }

  #string(quote: string): Token {
    for (;;) {
      const char = this.#take();
      if (char === quote) return this.#emit('string');
      if (char === '' || char === '\n') this.#fail('unterminated quoted string');
      if (char === '\\') this.#escape(quote);
      else this.#checkRune(char);
    }
  }

  #rawString(): Token {
    for (;;) {
      const char = this.#take();
      if (char === '`') return this.#emit('string');
      if (char === '') this.#fail('unterminated raw string');
      this.#checkRune(char);
    }
  }

  /** The replacement character is what invalid UTF-8 turns into; Prometheus does not tell the two apart and refuses both. */
  #checkRune(char: string): void {
    const code = char.charCodeAt(0);
    if (code === 0xfffd || (char.length === 1 && code >= 0xd800 && code < 0xe000)) this.#fail('invalid UTF-8 rune');
  }

  /** The part of an escape sequence after the backslash. */
  #escape(quote: string): void {
    let char = this.#take();
    if (char === quote || (char !== '' && 'abfnrtv\\'.includes(char))) return;
    let digits = 3;
    let base = 8;
    let max = 255;
    if (char === 'x') [digits, base, max] = [2, 16, 255];
    else if (char === 'u') [digits, base, max] = [4, 16, 0x10ffff];
    else if (char === 'U') [digits, base, max] = [8, 16, 0x10ffff];
    else if (char === '') this.#fail('escape sequence not terminated');
    else if (char < '0' || char > '7') this.#fail(`unknown escape sequence ${describeRune(char)}`);
    if (base === 16) char = this.#take();
    let value = 0;
    for (let left = digits; left > 0; left--) {
      if (char === '') this.#fail('escape sequence not terminated');
      const digit = HEXADECIMAL.includes(char) ? Number.parseInt(char, 16) : 16;
      if (digit >= base) this.#fail(`illegal character ${describeRune(char)} in escape sequence`);
      value = value * base + digit;
      if (left > 1) char = this.#take();
    }
    if (value > max || (value >= 0xd800 && value < 0xe000)) this.#fail('escape sequence is an invalid Unicode code point');
  }

  #numberOrDuration(): Token {
    if (this.#scanNumber()) return this.#emit('number');
    const end = this.#scanDurationRest();
    if (end === undefined) return this.#fail(`bad number or duration syntax: ${quoteString(this.text.slice(this.#start, this.#at))}`);
    this.#at = end;
    return this.#emit('duration');
  }

  /** Consumes units and further digits after a number; returns the end, or undefined with the cursor after the offending character. */
  #scanDurationRest(): number | undefined {
    // Impossible units such as `hs` pass here and are refused when the duration is parsed.
    if (!this.#accept('smhdwy')) return undefined;
    this.#accept('s');
    while (this.#accept(DECIMAL)) {
      while (this.#accept(DECIMAL));
      if (!this.#accept('smhdw')) return undefined;
      this.#accept('s');
    }
    const end = this.#at;
    return isAlphaNumeric(this.#take()) ? undefined : end;
  }

  /** Consumes what looks like a number; false with the cursor after the offending character if it is none. */
  #scanNumber(): boolean {
    const begin = this.#at;
    let digits = DECIMAL;
    if (this.#accept('0') && this.#accept('xX')) {
      this.#accept('_');
      digits = HEXADECIMAL;
    }
    this.#accept('.');
    this.#accept(digits);
    let dotSeen = false;
    let exponentSeen = false;
    while (this.#is(`${digits}._eE`)) {
      if (this.#is('.') && dotSeen) {
        this.#at++;
        return false;
      }
      if (this.#is('eE') && exponentSeen) {
        this.#at++;
        return false;
      }
      if (this.#accept('.')) {
        dotSeen = true;
        if (this.#accept('_.') || digits === HEXADECIMAL) return false;
      } else if (this.#accept('eE')) {
        exponentSeen = true;
        this.#accept('+-');
        if (this.#accept('._eE') || this.#peek() === '') return false;
      } else if (this.#accept('_')) {
        if (this.#accept('._eE') || this.#peek() === '') return false;
      } else {
        while (this.#accept(digits));
      }
    }
    return this.#at > begin && !isAlphaNumeric(this.#peek());
  }
}
