/** What the rows of a range function are called: names dropped or kept, series that only their names told apart, names that no counter has. */
import { getLabel, type Labels, METRIC_NAME } from '@gauntlet/model';
import type { Call, Expr } from '../parser/ast.ts';
import { isHistogramAt, type StepHistograms } from './difference-row.ts';
import { bytesOfLabels, KeyTable } from './key-table.ts';
import { dropMetadata, labelsKey } from './labels.ts';
import type { QueryContext } from './query-context.ts';
import type { RowSink } from './rows.ts';
import { duplicateLabelset } from './step-matrix.ts';

const COUNTER_SUFFIXES = ['_total', '_sum', '_count', '_bucket'] as const;

/**
 * Names of the result rows: dropped except by `first_over_time` and `last_over_time`. Two series that differ only in their name then have one
 * identity, which is an error; as long as all have the same name there is nothing to check.
 */
export class RowNames {
  readonly #context: QueryContext;
  readonly #keepsName: boolean;
  readonly #wantsCounter: boolean;
  readonly #isAbsence: boolean;
  readonly #pos: Expr['pos'];
  #name: string | undefined;
  #first: Labels[] = [];
  #firstBytes = 0;
  #seen: KeyTable | undefined;

  constructor(context: QueryContext, call: Call, pos: Expr['pos']) {
    this.#context = context;
    this.#keepsName = call.func === 'last_over_time' || call.func === 'first_over_time';
    this.#isAbsence = call.func === 'absent_over_time';
    this.#wantsCounter = call.func === 'rate' || call.func === 'increase';
    this.#pos = pos;
  }

  /** Hands a row on under its name. */
  add(labels: Labels, nameDropped: boolean, sink: RowSink, valuesPtr: number, presentPtr: number, found: number, histograms?: StepHistograms): void {
    const name = getLabel(labels, METRIC_NAME);
    if (this.#wantsCounter && name !== '' && (histograms === undefined || this.#hasFloats(presentPtr, histograms))) this.#checkCounter(labels, name);
    const drop = nameDropped || !this.#keepsName;
    // Of absent_over_time only the presence of rows counts.
    if (this.#isAbsence || this.#context.settings.delayedNameRemoval || !drop) {
      sink.add(labels, drop, valuesPtr, presentPtr, found, histograms);
      return;
    }
    const rest = dropMetadata(labels);
    this.#checkUnique(name + labelsMetadata(labels), rest);
    sink.add(rest, true, valuesPtr, presentPtr, found, histograms);
  }

  #hasFloats(presentPtr: number, histograms: StepHistograms): boolean {
    const present = this.#context.kernels.memory.u8(presentPtr, histograms.length);
    for (let k = 0; k < present.length; k++) if (present[k] === 1 && !isHistogramAt(histograms, k)) return true;
    return false;
  }

  #checkCounter(labels: Labels, name: string): void {
    const { annotations, settings } = this.#context;
    if (settings.typeAndUnitLabels) {
      const type = getLabel(labels, '__type__');
      if (type !== 'counter' && type !== 'histogram') annotations.possibleNonCounterType(name, type, this.#pos);
    } else if (!COUNTER_SUFFIXES.some((suffix) => name.endsWith(suffix))) annotations.possibleNonCounter(name, this.#pos);
  }

  #checkUnique(metadata: string, rest: Labels): void {
    if (this.#seen === undefined) {
      if (this.#name === undefined || this.#name === metadata) {
        this.#name = metadata;
        const bytes = bytesOfLabels(rest);
        this.#context.reserve(bytes);
        this.#firstBytes += bytes;
        this.#first.push(rest);
        return;
      }
      this.#seen = new KeyTable(this.#context);
      for (const labels of this.#first) this.#seen.idOf(labelsKey(labels));
      this.#first = [];
    }
    const known = this.#seen.size;
    if (this.#seen.idOf(labelsKey(rest)) < known) throw duplicateLabelset();
  }

  /** Gives the memory charge back. */
  free(): void {
    this.#seen?.free();
    this.#context.release(this.#firstBytes);
    this.#firstBytes = 0;
    this.#first = [];
  }
}

function labelsMetadata(labels: Labels): string {
  const type = getLabel(labels, '__type__');
  const unit = getLabel(labels, '__unit__');
  return type === '' && unit === '' ? '' : `\ud800${type}\ud800${unit}`;
}
