/** Feature switches of the parser. Defaults are those of Prometheus 3.14 without `--enable-feature`. */

export interface ParserOptions {
  /** Functions and aggregators marked experimental, `promql-experimental-functions`. Default false. */
  readonly experimentalFunctions?: boolean;
  /** `xrate`, `xincrease` and `xdelta` of Thanos' engine, `--query.enable-x-functions`. Default false. */
  readonly xFunctions?: boolean;
  /** Arithmetic in ranges and offsets. Default true. */
  readonly durationExpressions?: boolean;
  /** `anchored` and `smoothed`, `promql-extended-range-selectors`. Default false. */
  readonly extendedRangeSelectors?: boolean;
  /** `fill`, `fill_left`, `fill_right`, `promql-binop-fill-modifiers`. Default false. */
  readonly binopFillModifiers?: boolean;
}

/** All switches, defaults filled in. */
export function completeParserOptions(options: ParserOptions = {}): Required<ParserOptions> {
  return {
    experimentalFunctions: options.experimentalFunctions ?? false,
    xFunctions: options.xFunctions ?? false,
    durationExpressions: options.durationExpressions ?? true,
    extendedRangeSelectors: options.extendedRangeSelectors ?? false,
    binopFillModifiers: options.binopFillModifiers ?? false,
  };
}
