/**
 * Functions of alert templates: those that work here, and the names of all that Prometheus has, so that a rule file hears which kind of mistake it makes.
 * Source of the behaviour: Prometheus template/template.go and docs/configuration/template_reference.md; Go text/template for `index`.
 */
import { getLabel, type Labels } from '@gauntlet/model';
import { RulerError } from '../errors.ts';
import { formatDigits } from './format-number.ts';

/** What operands and functions give: text, a float, or a map of labels. */
export type TemplateValue = string | number | Labels;

/** A function of templates. @throws RulerError ERR_TEMPLATE */
export type TemplateFunction = (args: readonly TemplateValue[]) => TemplateValue;

/** The functions that work. */
export const TEMPLATE_FUNCTIONS: ReadonlyMap<string, TemplateFunction> = new Map<string, TemplateFunction>([
  ['index', index],
  ['humanize', ofNumber('humanize', humanize)],
  ['humanize1024', ofNumber('humanize1024', humanize1024)],
  ['humanizeDuration', ofNumber('humanizeDuration', humanizeDuration)],
  ['humanizePercentage', ofNumber('humanizePercentage', (value) => `${formatDigits(value * 100, 4)}%`)],
]);

/** Functions of Prometheus' templates that are not here. */
export const UNSUPPORTED_FUNCTIONS: ReadonlySet<string> = new Set(
  (
    'and or not eq ne lt le gt ge len slice print printf println html js urlquery call ' +
    'query first label value strvalue args reReplaceAll safeHtml match title toUpper toLower graphLink tableLink sortByLabel stripPort stripDomain ' +
    'humanizeTimestamp toTime toDuration now pathPrefix externalURL parseDuration urlQueryEscape'
  ).split(' '),
);

/** Words with which actions begin that are not here. */
export const UNSUPPORTED_ACTIONS: ReadonlySet<string> = new Set('if else end range with define template block break continue'.split(' '));

const LARGE_PREFIXES = ['k', 'M', 'G', 'T', 'P', 'E', 'Z', 'Y'];
const SMALL_PREFIXES = ['m', 'u', 'n', 'p', 'f', 'a', 'z', 'y'];
const BINARY_PREFIXES = ['ki', 'Mi', 'Gi', 'Ti', 'Pi', 'Ei', 'Zi', 'Yi'];

function index(args: readonly TemplateValue[]): TemplateValue {
  const [map, key] = args;
  if (args.length !== 2 || typeof map !== 'object' || typeof key !== 'string') {
    throw new RulerError('ERR_TEMPLATE', `call index: wanted a map of labels and a name, got ${args.length === 0 ? 'nothing' : args.map(describeValue).join(' and ')}`);
  }
  return getLabel(map, key);
}

function humanize(value: number): string {
  if (value === 0 || !Number.isFinite(value)) return formatDigits(value, 4);
  return Math.abs(value) < 1 ? scaleUp(value) : scaleDown(value, 1000, LARGE_PREFIXES);
}

function humanize1024(value: number): string {
  if (Math.abs(value) <= 1 || !Number.isFinite(value)) return formatDigits(value, 4);
  return scaleDown(value, 1024, BINARY_PREFIXES);
}

function humanizeDuration(seconds: number): string {
  if (!Number.isFinite(seconds)) return formatDigits(seconds, 4);
  if (seconds === 0) return `${formatDigits(seconds, 4)}s`;
  if (Math.abs(seconds) < 1) return `${scaleUp(seconds)}s`;
  const sign = seconds < 0 ? '-' : '';
  const whole = Math.trunc(Math.abs(seconds));
  const [d, h, m, s] = [Math.trunc(whole / 86_400), Math.trunc(whole / 3600) % 24, Math.trunc(whole / 60) % 60, whole % 60];
  if (d !== 0) return `${sign}${d}d ${h}h ${m}m ${s}s`;
  if (h !== 0) return `${sign}${h}h ${m}m ${s}s`;
  if (m !== 0) return `${sign}${m}m ${s}s`;
  return `${sign}${formatDigits(Math.abs(seconds), 4)}s`;
}

function scaleDown(value: number, step: number, prefixes: readonly string[]): string {
  let scaled = value;
  let prefix = '';
  for (const next of prefixes) {
    if (Math.abs(scaled) < step) break;
    prefix = next;
    scaled /= step;
  }
  return formatDigits(scaled, 4) + prefix;
}

function scaleUp(value: number): string {
  let scaled = value;
  let prefix = '';
  for (const next of SMALL_PREFIXES) {
    if (Math.abs(scaled) >= 1) break;
    prefix = next;
    scaled *= 1000;
  }
  return formatDigits(scaled, 4) + prefix;
}

/** A function of one number; text that is a number will do, as label values are. */
function ofNumber(name: string, format: (value: number) => string): TemplateFunction {
  return (args) => {
    const [value] = args;
    if (args.length !== 1 || value === undefined || typeof value === 'object') {
      throw new RulerError('ERR_TEMPLATE', `call ${name}: wanted one number, got ${args.length === 0 ? 'nothing' : args.map(describeValue).join(' and ')}`);
    }
    return format(typeof value === 'number' ? value : parseFloatText(name, value));
  };
}

function parseFloatText(name: string, text: string): number {
  if (/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text)) return Number(text);
  if (/^[+-]?inf(inity)?$/i.test(text)) return text.startsWith('-') ? -Infinity : Infinity;
  if (/^nan$/i.test(text)) return NaN;
  throw new RulerError('ERR_TEMPLATE', `call ${name}: wanted a number, got ${JSON.stringify(text)}`);
}

function describeValue(value: TemplateValue): string {
  if (typeof value === 'object') return 'a map of labels';
  return typeof value === 'number' ? 'a number' : JSON.stringify(value);
}
