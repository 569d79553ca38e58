/**
 * Fills alert templates in.
 *
 *   parts ── text as it is, pipelines evaluated left to right and printed as Go prints: floats shortest, maps as map[a:1 b:2] ──► text
 */
import { getLabel, type Labels } from '@gauntlet/model';
import { errorText } from '@gauntlet/service-kit';
import { RulerError } from '../errors.ts';
import { formatShortest } from './format-number.ts';
import type { Command, Operand, Template } from './parse-template.ts';
import { TEMPLATE_FUNCTIONS, type TemplateValue } from './template-functions.ts';

/** What a template can show of an alert. */
export interface TemplateData {
  /** Of the element, `__name__` too. */
  readonly labels: Labels;
  readonly externalLabels: Labels;
  readonly externalUrl: string;
  readonly value: number;
}

/**
 * The text of a template for one alert.
 * @throws RulerError ERR_TEMPLATE naming the action that cannot be evaluated
 */
export function expandTemplate(template: Template, data: TemplateData): string {
  let text = '';
  for (const part of template.parts) {
    if (part.kind === 'text') {
      text += part.text;
      continue;
    }
    try {
      text += printValue(evaluate(part.commands, data));
    } catch (error) {
      throw new RulerError('ERR_TEMPLATE', `evaluate ${part.source}: ${errorText(error)}`, error);
    }
  }
  return text;
}

function evaluate(commands: readonly Command[], data: TemplateData): TemplateValue {
  let result: TemplateValue | undefined;
  for (const { functionName, operands } of commands) {
    const args = operands.map((operand) => resolve(operand, data));
    if (result !== undefined) args.push(result);
    result = functionName === undefined ? args[0]! : TEMPLATE_FUNCTIONS.get(functionName)!(args);
  }
  return result ?? '';
}

function resolve(operand: Operand, data: TemplateData): TemplateValue {
  if (operand.kind === 'text') return operand.text;
  const { name, field } = operand;
  if (name === 'value') return data.value;
  if (name === 'externalURL') return data.externalUrl;
  const labels = name === 'labels' ? data.labels : data.externalLabels;
  return field === undefined ? labels : getLabel(labels, field);
}

function printValue(value: TemplateValue): string {
  if (typeof value === 'string') return value;
  if (typeof value === 'number') return formatShortest(value);
  const entries: string[] = [];
  for (let i = 0; i < value.length; i += 2) entries.push(`${value[i]}:${value[i + 1]}`);
  return `map[${entries.join(' ')}]`;
}

