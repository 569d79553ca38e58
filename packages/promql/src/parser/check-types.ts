/**
 * The checks after the syntax: types of operands and arguments, number of arguments, vector matching, empty selectors. It also settles what follows
 * from the types: set operators match many-to-many, and only operations between two vectors keep their matching.
 * Source: Prometheus promql/parser/parse.go, `checkAST`.
 */
import { FUNCTION_SIGNATURES } from '../functions/signatures.ts';
import type { AggregateExpr, BinaryExpr, Call, Expr, PositionRange, ValueType, VectorSelector } from './ast.ts';
import { parseError } from './position.ts';
import { quoteString } from './quote.ts';

const COMPARISONS: ReadonlySet<string> = new Set(['==', '!=', '<', '<=', '>', '>=']);
const SET_OPERATORS: ReadonlySet<string> = new Set(['and', 'or', 'unless']);

/** Static type of an expression. */
export function valueType(expr: Expr): ValueType {
  switch (expr.type) {
    case 'aggregate':
    case 'vectorSelector':
      return 'vector';
    case 'binary':
      return valueType(expr.lhs) === 'scalar' && valueType(expr.rhs) === 'scalar' ? 'scalar' : 'vector';
    case 'call':
      return FUNCTION_SIGNATURES.get(expr.func)!.returnType;
    case 'duration':
    case 'number':
      return 'scalar';
    case 'matrixSelector':
    case 'subquery':
      return 'matrix';
    case 'paren':
    case 'shared':
    case 'stepInvariant':
    case 'unary':
      return valueType(expr.expr);
    case 'string':
      return 'string';
  }
}

/** The name users know a type by. */
export function describeType(type: ValueType): string {
  return type === 'vector' ? 'instant vector' : type === 'matrix' ? 'range vector' : type;
}

/** A checked node with its type, so that types are computed once per node. */
interface Checked<T extends Expr = Expr> {
  readonly expr: T;
  readonly type: ValueType;
}

/**
 * Checks a tree and returns it settled.
 * @param text the query, for positions
 * @throws PromqlError ERR_PARSE
 */
export function checkTypes(text: string, root: Expr): Expr {
  const fail = (pos: PositionRange, message: string): never => {
    throw parseError(text, pos, message);
  };

  function expectType(given: Checked, want: ValueType, context: string): void {
    if (given.type !== want) fail(given.expr.pos, `expected type ${describeType(want)} in ${context}, got ${describeType(given.type)}`);
  }

  function check(expr: Expr): Checked {
    switch (expr.type) {
      case 'aggregate':
        return { expr: checkAggregate(expr), type: 'vector' };
      case 'binary':
        return checkBinary(expr);
      case 'call':
        return { expr: checkCall(expr), type: valueType(expr) };
      case 'paren':
      case 'shared':
      case 'stepInvariant': {
        const inner = check(expr.expr);
        return { expr: { ...expr, expr: inner.expr }, type: inner.type };
      }
      case 'unary': {
        const inner = check(expr.expr);
        if (inner.type !== 'scalar' && inner.type !== 'vector') {
          const got = quoteString(describeType(inner.type));
          fail(expr.pos, `unary expression only allowed on expressions of type scalar or instant vector, got ${got}`);
        }
        return { expr: { ...expr, expr: inner.expr }, type: inner.type };
      }
      case 'subquery': {
        const inner = check(expr.expr);
        if (inner.type !== 'vector') fail(expr.pos, `subquery is only allowed on instant vector, got ${inner.type} instead`);
        return { expr: { ...expr, expr: inner.expr }, type: 'matrix' };
      }
      case 'matrixSelector':
        checkSelector(expr.vector);
        return { expr, type: 'matrix' };
      case 'vectorSelector':
        checkSelector(expr);
        return { expr, type: 'vector' };
      default:
        return { expr, type: valueType(expr) };
    }
  }

  function checkAggregate(node: AggregateExpr): AggregateExpr {
    const inner = check(node.expr);
    expectType(inner, 'vector', 'aggregation expression');
    if (node.param === undefined) return { ...node, expr: inner.expr };
    const param = check(node.param);
    expectType(param, node.op === 'count_values' ? 'string' : 'scalar', 'aggregation parameter');
    return { ...node, expr: inner.expr, param: param.expr };
  }

  /** Where the operator of a binary expression stands. */
  function operatorPos(node: BinaryExpr): PositionRange {
    let { end: start } = node.lhs.pos;
    while (/\s/.test(text.charAt(start))) start++;
    return { start, end: node.rhs.pos.start };
  }

  function checkBinary(node: BinaryExpr): Checked {
    const lhs = check(node.lhs);
    const rhs = check(node.rhs);
    const isSet = SET_OPERATORS.has(node.op);
    const scalars = lhs.type === 'scalar' && rhs.type === 'scalar';
    const type: ValueType = scalars ? 'scalar' : 'vector';
    if (node.returnBool && !COMPARISONS.has(node.op)) fail(operatorPos(node), 'bool modifier can only be used on comparison operators');
    if (COMPARISONS.has(node.op) && !node.returnBool && scalars) fail(operatorPos(node), 'comparisons between scalars must use BOOL modifier');
    const matching = node.matching!;
    const card = isSet && matching.card === 'one-to-one' ? 'many-to-many' : matching.card;
    const included = new Set(matching.include);
    const shared = matching.on ? matching.labels.find((label) => included.has(label)) : undefined;
    if (shared !== undefined) fail(operatorPos(node), `label ${quoteString(shared)} must not occur in ON and GROUP clause at once`);
    for (const side of [lhs, rhs]) {
      if (side.type !== 'scalar' && side.type !== 'vector') fail(side.expr.pos, 'binary expression must contain only scalar and instant vector types');
    }
    const fills = matching.fill.lhs !== undefined || matching.fill.rhs !== undefined;
    const vectors = lhs.type === 'vector' && rhs.type === 'vector';
    if (!vectors) {
      if (matching.labels.length > 0) fail(node.pos, 'vector matching only allowed between instant vectors');
      if (fills) fail(node.pos, 'filling in missing series only allowed between instant vectors');
      if (isSet) fail(node.pos, `set operator ${quoteString(node.op)} not allowed in binary scalar expression`);
    } else if (isSet) {
      if (card !== 'many-to-many') fail(node.pos, `no grouping allowed for ${quoteString(node.op)} operation`);
      if (fills) fail(node.pos, 'filling in missing series not allowed for set operators');
    }
    return { expr: { ...node, lhs: lhs.expr, rhs: rhs.expr, matching: vectors ? { ...matching, card } : undefined }, type };
  }

  function checkCall(node: Call): Call {
    const { name, argTypes, variadic } = FUNCTION_SIGNATURES.get(node.func)!;
    const got = node.args.length;
    const inCall = `in call to ${quoteString(name)}, got ${got}`;
    const least = argTypes.length - (variadic === 0 ? 0 : 1);
    if (variadic === 0 && got !== least) fail(node.pos, `expected ${least} argument(s) ${inCall}`);
    if (got < least) fail(node.pos, `expected at least ${least} argument(s) ${inCall}`);
    if (variadic > 0 && got > least + variadic) fail(node.pos, `expected at most ${least + variadic} argument(s) ${inCall}`);
    const given = name === 'info' && got > 1 ? [node.args[0]!, checkInfoSelector(node, node.args[1]!)] : node.args;
    const args = given.map((arg, i) => {
      const checked = check(arg);
      const want = argTypes[Math.min(i, argTypes.length - 1)]!;
      expectType({ expr: arg, type: checked.type }, want, `call to function ${quoteString(name)}`);
      return checked.expr;
    });
    return { ...node, args };
  }

  /** The second argument of `info()` selects labels, not series: it has no name, and its matchers may all match the empty string. */
  function checkInfoSelector(call: Call, arg: Expr): Expr {
    const type = valueType(arg);
    if (type !== 'vector') fail(call.pos, `expected type instant vector in call to function "info", got ${describeType(type)}`);
    if (arg.type !== 'vectorSelector') return fail(arg.pos, 'expected label selectors only');
    if (arg.name !== '') fail(arg.pos, 'expected label selectors only, got vector selector instead');
    return { ...arg, bypassEmptyMatcherCheck: true };
  }

  function checkSelector(node: VectorSelector): void {
    if (node.name !== '') {
      const second = node.matchers.slice(0, -1).find((matcher) => matcher.name === '__name__');
      if (second !== undefined) fail(node.pos, `metric name must not be set twice: ${quoteString(node.name)} or ${quoteString(second.value)}`);
    } else if (!node.bypassEmptyMatcherCheck && node.matchers.every((matcher) => matcher.matches(''))) {
      fail(node.pos, 'vector selector must contain at least one non-empty matcher');
    }
  }

  return check(root).expr;
}
