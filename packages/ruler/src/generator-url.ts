/**
 * The source link of an alert: `--alert.query-url` and `--alert.query-template`, a Go template that knows `{{.Expr}}` alone.
 * Source: Thanos cmd/thanos/rule.go, tableLinkForExpression.
 */
import { RulerError } from './errors.ts';

/** Makes the link for an expression. */
export type GeneratorUrl = (expr: string) => string;

/**
 * @param queryUrl start of the link, as given
 * @throws RulerError ERR_CONFIG for a template with anything but `{{.Expr}}`
 */
export function createGeneratorUrl(queryUrl: string, template: string): GeneratorUrl {
  const texts: string[] = [];
  let at = 0;
  let trimsNext = false;
  const push = (text: string, trimsEnd: boolean): void => {
    let piece = trimsNext ? text.trimStart() : text;
    if (trimsEnd) piece = piece.trimEnd();
    texts.push(piece);
  };
  for (let open = template.indexOf('{{'); open >= 0; open = template.indexOf('{{', at)) {
    const close = template.indexOf('}}', open);
    const refuse = (why: string): never => {
      throw new RulerError('ERR_CONFIG', `invalid alert source template: --alert.query-template, column ${open + 1}: ${why}`);
    };
    if (close < 0) refuse('unclosed action');
    const action = template.slice(open, close + 2);
    const [, before = '', , after = ''] = /^\{\{(- )?\s*(\.Expr)\s*( -)?\}\}$/.exec(action) ?? refuse(`${action} is not supported, wanted {{.Expr}}`);
    push(template.slice(at, open), before !== '');
    trimsNext = after !== '';
    at = close + 2;
  }
  push(template.slice(at), false);
  return (expr) => queryUrl + texts.join(queryEscape(expr));
}

/** As Go's url.QueryEscape: all but letters, digits and -_.~ escaped, a space as plus. */
export function queryEscape(text: string): string {
  return encodeURIComponent(text.replace(/\p{Surrogate}/gu, '\uFFFD'))
    .replace(/[!'()*]/g, (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`)
    .replaceAll('%20', '+');
}
