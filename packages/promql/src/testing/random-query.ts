/**
 * Random queries over the series of random-data.ts, from a seed: typed, so that nearly all of them run, with every node of the language and every
 * function and aggregation of the signature table.
 */
import { FUNCTION_SIGNATURES } from '../functions/signatures.ts';
import type { ParserOptions } from '../parser/options.ts';

export { randomFrom } from './random-data.ts';

/** What the parser must be told for queries with everything. */
export const EVERYTHING: ParserOptions = { experimentalFunctions: true, xFunctions: true, durationExpressions: true, extendedRangeSelectors: true, binopFillModifiers: true };

export interface RandomQueryOptions {
  /** Experimental functions, `fill`, `anchored`, `smoothed` and arithmetic in durations too; false. */
  readonly everything?: boolean;
  /** Levels of nesting at most; 4. */
  readonly depthMax?: number;
  /** Told the name of every function, aggregation and operator that is used. */
  readonly onUse?: (name: string) => void;
}

/** What kind of samples a vector should rather have. */
type Taste = 'any' | 'histograms' | 'buckets';

const ARITHMETIC = ['+', '-', '*', '/', '%', '^', 'atan2'];
const COMPARISONS = ['==', '!=', '<', '<=', '>', '>='];
const AGGREGATES = ['sum', 'avg', 'min', 'max', 'count', 'group'];
/** Functions that can be used over `anchored` ranges; over `smoothed` ones those before `changes`. */
const EXTENDABLE = ['rate', 'increase', 'delta', 'changes', 'resets'];
/** Names of histogram functions wanted often enough to meet. */
const OF_HISTOGRAMS = ['histogram_avg', 'histogram_count', 'histogram_fraction', 'histogram_quantile', 'histogram_stddev', 'histogram_stdvar', 'histogram_sum'];

/** A random query: mostly vectors, some scalars. */
export function randomQuery(random: () => number, options: RandomQueryOptions = {}): string {
  const generator = new QueryGenerator(random, options);
  const depth = Math.floor(random() * ((options.depthMax ?? 4) + 1));
  return options.everything === true && random() < 0.03 ? generator.scalar(depth) : generator.vector(depth, 'any');
}

/** A random range vector, which only an instant query may be. */
export function randomRangeVector(random: () => number, options: RandomQueryOptions = {}): string {
  return new QueryGenerator(random, options).rangeVector(2 + Math.floor(random() * ((options.depthMax ?? 4) - 1)));
}

class QueryGenerator {
  readonly #random: () => number;
  readonly #everything: boolean;
  readonly #onUse: (name: string) => void;
  readonly #vectorFunctions: readonly string[];

  constructor(random: () => number, options: RandomQueryOptions) {
    this.#random = random;
    this.#everything = options.everything ?? false;
    this.#onUse = options.onUse ?? ((): void => undefined);
    const usable = [...FUNCTION_SIGNATURES.values()].filter(({ returnType, needs }) => returnType === 'vector' && (this.#everything || needs === undefined));
    this.#vectorFunctions = usable.map(({ name }) => name);
  }

  #one<T>(choices: readonly T[]): T {
    return choices[Math.floor(this.#random() * choices.length)]!;
  }

  #maybe(chance: number, text: () => string): string {
    return this.#random() < chance ? text() : '';
  }

  #use(name: string): string {
    this.#onUse(name);
    return name;
  }

  #selector(taste: Taste): string {
    const matchers = this.#maybe(0.35, () => `{${this.#one(['job="x"', 'job!="x"', 'instance=~"0|1"', 'instance!~"10", job="y"', 'zone=""', 'zone="1"', 'job="none"'])}}`);
    if (taste === 'histograms' && this.#random() < 0.8) return this.#one(['h', 'h', 'hc', 'hg', 'm', 'lat']) + matchers;
    if (taste === 'buckets' && this.#random() < 0.8) return this.#one(['lat_bucket', 'lat_bucket', 'lat_bucket', 'h', 'hc', '{__name__=~"lat|lat_bucket"}']);
    const name = this.#one(['a_total', 'a_total', 'b', 'b', 'c', 'c', 'd', 'flat', 'rare', 'h', 'hg', 'hc', 'm', 'lat_bucket', 'target_info', 'none', '{__name__=~"d|e"}', '{__name__=~"h|b|m"}']);
    return name.startsWith('{') ? name : name + matchers;
  }

  /** A duration, literal or computed. */
  #duration(literals: readonly string[]): string {
    if (!this.#everything || this.#random() < 0.9) return this.#one(literals);
    return this.#use(this.#one(['1m + step()', '2 * 90s', 'max_of(1m, step())', 'min_of(5m, range() + 30s)', '10m / 4', '2 ^ 6', '100s % 70s', '(30s + 45s)']));
  }

  #modifiers(): string {
    const offset = this.#maybe(0.2, () => ` offset ${this.#everything && this.#random() < 0.15 ? this.#one(['(step() * 2)', '-(30s + 1m)', '(range())']) : this.#one(['30s', '2m', '-1m', '10m'])}`);
    const at = this.#maybe(0.12, () => ` @ ${this.#one(['600', '1200.5', 'start()', 'end()', '0'])}`);
    return this.#random() < 0.5 ? offset + at : at + offset;
  }

  #instant(taste: Taste): string {
    return this.#selector(taste) + (this.#everything ? this.#maybe(0.06, () => ` ${this.#use('smoothed')}`) : '') + this.#modifiers();
  }

  /** The range vector of a function. */
  #range(depth: number, taste: Taste, func: string): string {
    if (depth > 1 && this.#random() < 0.35) return `(${this.vector(depth - 2, taste)})[${this.#duration(['5m', '10m', '2m'])}:${this.#one(['', '30s', '1m', '45s', '7s'])}]${this.#modifiers()}`;
    let extension = '';
    if (this.#everything && EXTENDABLE.includes(func) && this.#random() < 0.3) {
      extension = ` ${this.#use(EXTENDABLE.indexOf(func) >= 3 || this.#random() < 0.5 ? 'anchored' : 'smoothed')}`;
    }
    return `${this.#selector(taste)}[${this.#duration(['1m', '5m', '17s', '20m', '2m30s'])}]${extension}${this.#modifiers()}`;
  }

  /** A range vector by itself. */
  rangeVector(depth: number): string {
    return this.#range(depth, 'any', '');
  }

  #grouping(): string {
    return this.#maybe(0.8, () => ` ${this.#one(['by', 'without'])} (${this.#one(['job', 'instance', 'job, instance', 'zone', 'le', '', '__name__', 'job, le', '__name__, job', '__type__'])})`);
  }

  /** A number per step. */
  scalar(depth: number): string {
    if (depth <= 0 || this.#random() < 0.6) return this.#one(['0', '1', '2.5', '-3', '10', '0.9', 'time()', '1e3', 'NaN', 'Inf', '5m', '(1 - 2)']);
    const experimental = ['max_of', 'min_of', 'start', 'end', 'range', 'step'];
    const inner = (): string => this.scalar(depth - 1);
    return this.#one([
      () => `${this.#use('scalar')}(${this.vector(depth - 1, 'any')})`,
      () => `${this.#use('scalar')}(${this.vector(depth - 1, 'any')})`,
      () => `(${inner()} ${this.#one(ARITHMETIC)} ${inner()})`,
      () => `(${inner()} ${this.#one(COMPARISONS)} bool ${inner()})`,
      () => `-(${inner()})`,
      () => `${this.#use('time')}()`,
      () => `${this.#use('pi')}()`,
      () => {
        if (!this.#everything) return inner();
        const name = this.#use(this.#one(experimental));
        return name.endsWith('_of') ? `${name}(${inner()}, ${inner()})` : `${name}()`;
      },
    ])();
  }

  #matching(isSet: boolean): string {
    const names = this.#one(['job', 'instance', 'job, instance', 'zone', '']);
    const on = this.#maybe(0.6, () => ` ${this.#one(['on', 'ignoring'])} (${names})`);
    if (isSet) return on;
    const fill = this.#everything ? this.#maybe(0.15, () => this.#use(this.#one([' fill (0)', ' fill_left (-1)', ' fill_right (2.5)', ' fill_left (1) fill_right (NaN)']))) : '';
    if (on === '') return fill;
    // A label may not be matched on and copied at once.
    const include = this.#one(['', 'zone', 'instance', '__name__']);
    return on + this.#maybe(0.35, () => ` ${this.#use(this.#one(['group_left', 'group_right']))} (${names.includes(include) ? '' : include})`) + fill;
  }

  /** A vector whose samples have a defined order: which of several equal values `topk` takes, and what `limitk` takes, depends on it. */
  #ordered(depth: number): string {
    if (depth <= 0 || this.#random() < 0.4) return this.#instant('any');
    return this.#one([
      () => `${this.#use('rate')}(${this.#range(0, 'any', 'rate')})`,
      () => `${this.#use('last_over_time')}(${this.#range(0, 'any', 'last_over_time')})`,
      () => `${this.#use('round')}(${this.#ordered(depth - 1)}, 10)`,
      () => `(${this.#ordered(depth - 1)} * 2)`,
    ])();
  }

  /** An instant vector. */
  vector(depth: number, taste: Taste): string {
    if (depth <= 0) return this.#instant(taste);
    const inner = (want: Taste = taste): string => this.vector(depth - 1, want);
    const dice = this.#random();
    if (dice < 0.06) return this.#instant(taste);
    if (dice < 0.5) return this.#call(this.#everything && this.#random() < 0.2 ? this.#one(OF_HISTOGRAMS) : this.#one(this.#vectorFunctions), depth, taste);
    if (dice < 0.74) return this.#aggregation(depth, taste);
    return this.#one([
      () => `-(${inner()})`,
      () => `(${inner()}) ${this.#use(this.#one(ARITHMETIC))} ${this.scalar(depth - 1)}`,
      () => `${this.scalar(depth - 1)} ${this.#use(this.#one(['*', '+', '/']))} (${inner()})`,
      () => `${this.scalar(depth - 1)} ${this.#one(COMPARISONS)} ${this.#maybe(0.4, () => 'bool ')}(${inner()})`,
      () => `(${inner()}) ${this.#one(COMPARISONS)} ${this.#maybe(0.4, () => 'bool ')}${this.scalar(depth - 1)}`,
      () => (this.#everything ? `(${inner('histograms')}) ${this.#use(this.#one(['</', '>/']))} ${this.#random() < 0.8 ? this.scalar(depth - 1) : `(${inner()})`}` : inner()),
      () => `(${inner()}) ${this.#use(this.#one(ARITHMETIC))}${this.#matching(false)} (${inner()})`,
      () => `(${inner()}) ${this.#one(['+', '-', '*', '/'])}${this.#matching(false)} (${inner()})`,
      () => `(${inner()}) ${this.#one(COMPARISONS)}${this.#maybe(0.4, () => ' bool')}${this.#matching(false)} (${inner()})`,
      () => `(${inner()}) ${this.#use(this.#one(['and', 'or', 'unless']))}${this.#matching(true)} (${inner()})`,
    ])();
  }

  #aggregation(depth: number, taste: Taste): string {
    const inner = (): string => this.vector(depth - 1, taste);
    const op = (name: string): string => this.#use(name) + this.#grouping();
    const number = (choices: readonly string[]): string => (this.#random() < 0.85 ? this.#one(choices) : this.scalar(depth - 1));
    return this.#one([
      () => `${op(this.#one(AGGREGATES))} (${inner()})`,
      () => `${op(this.#one(AGGREGATES))} (${inner()})`,
      () => `${op(this.#one(['sum', 'avg']))} (${inner()})`,
      // Variances of the same values in another order differ in the last digit, which `resets` and `==` would show.
      () => `${op(this.#one(['stddev', 'stdvar']))} (${this.#ordered(depth - 1)})`,
      () => `${op('quantile')} (${number(['0.5', '0.25', '1', '1.5', '-1'])}, ${inner()})`,
      () => `${op(this.#one(['topk', 'bottomk']))} (${number(['1', '2', '3', '0', '10'])}, ${this.#ordered(depth - 1)})`,
      () => `${op('count_values')} ("${this.#one(['value', 'value', 'job', '__name__'])}", ${inner()})`,
      () => (this.#everything ? `${op('limitk')} (${number(['1', '2', '5'])}, ${this.#ordered(depth - 1)})` : inner()),
      () => (this.#everything ? `${op('limit_ratio')} (${number(['0.5', '-0.5', '0.1', '0', '1', '-1.5'])}, ${inner()})` : inner()),
    ])();
  }

  #call(name: string, depth: number, taste: Taste): string {
    this.#use(name);
    const signature = FUNCTION_SIGNATURES.get(name)!;
    const inner = (want: Taste = taste): string => this.vector(depth - 1, want);
    const number = (choices: readonly string[]): string => (this.#random() < 0.85 ? this.#one(choices) : this.scalar(depth - 1));
    const quantile = (): string => number(['0.5', '0.9', '1', '0', '1.5', '-1']);
    const range = (want: Taste = taste): string => this.#range(depth, want, name);
    switch (name) {
      case 'label_replace':
        return `${name}(${inner()}, "${this.#one(['zone', 'job', 'new', '__name__'])}", "${this.#one(['$1', 'q', '', 'a-$1'])}", "${this.#one(['instance', 'job', 'none'])}", "${this.#one(['(.*)', '1(.*)', '(x|y)', ''])}")`;
      case 'label_join':
        return `${name}(${inner()}, "${this.#one(['zone', 'new', '__name__'])}", "${this.#one(['-', ''])}", ${this.#one(['"job"', '"job", "instance"', '"none"'])})`;
      case 'sort_by_label':
      case 'sort_by_label_desc':
        return `${name}(${inner()}, ${this.#one(['"instance"', '"job", "instance"', '"zone"'])})`;
      case 'histogram_quantiles':
        return `${name}(${inner('buckets')}, "q", ${quantile()}${this.#maybe(0.6, () => `, ${quantile()}`)})`;
      case 'histogram_quantile':
        return `${name}(${quantile()}, ${inner(this.#one(['buckets', 'histograms']))})`;
      case 'histogram_fraction':
        return `${name}(${number(['0', '-1', '0.3'])}, ${number(['1', '2.5', '0.2'])}, ${inner(this.#one(['buckets', 'histograms']))})`;
      case 'info':
        return `${name}(${inner()}${this.#maybe(0.6, () => `, {${this.#one(['version=~".+"', 'rev=~".*"', '__name__="build_info"', '__name__=~".+_info"', '__name__!="build_info", env="prod"', 'env!="prod"'])}}`)})`;
      case 'double_exponential_smoothing':
        return `${name}(${range()}, ${number(['0.5', '0.1', '0.9'])}, ${number(['0.5', '0.1', '0.9'])})`;
      case 'quantile_over_time':
        return `${name}(${quantile()}, ${range()})`;
      case 'predict_linear':
        return `${name}(${range()}, ${number(['60', '-60', '3600'])})`;
      case 'clamp':
        return `${name}(${inner()}, ${number(['-5', '0'])}, ${number(['10', '-10'])})`;
      default: {
        if (name.startsWith('histogram_')) return `${name}(${inner('histograms')})`;
        // Arguments of date functions may be left out.
        const mayBeEmpty = signature.argTypes.length === 1 && signature.variadic === 1 && this.#random() < 0.3;
        const args = mayBeEmpty ? [] : signature.argTypes.map((type) => (type === 'vector' ? inner() : type === 'matrix' ? range() : this.scalar(depth - 1)));
        if (name === 'round' && this.#random() < 0.5) args.length = 1;
        return `${name}(${args.join(', ')})`;
      }
    }
  }
}
