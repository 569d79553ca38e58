/**
 * A bar of progress on a terminal, redrawn in place; nothing where standard error is no terminal.
 *
 *   parse samples [=========>          ]  45%  12.3 MB/s  8s left
 */
import { formatDuration } from '@gauntlet/model';

/** How far some work is. */
export interface Progress {
  readonly label: string;
  readonly done: number;
  /** 0: not known. */
  readonly total: number;
  /** Of the counts, in the plural; bytes are shown as such. */
  readonly unit: string;
}

/** See the head of this file. */
export interface ProgressBar {
  show(progress: Progress): void;
  /** Takes the bar away, so that something else can be printed. */
  clear(): void;
}

const BAR_COLUMNS = 24;
const ERASE = '\r\u001b[K';

/** @param progressColumns width of the terminal; undefined when there is none */
export function createProgressBar({ progressColumns, printError, clock }: { readonly progressColumns: number | undefined; readonly printError: (text: string) => void; readonly clock: () => number }): ProgressBar {
  if (progressColumns === undefined) return { show: () => {}, clear: () => {} };
  let label = '';
  let startedMs = 0;
  let isShown = false;
  return {
    show(progress) {
      const nowMs = clock();
      if (progress.label !== label) {
        label = progress.label;
        startedMs = nowMs;
      }
      printError(`${ERASE}${progressLine(progress, nowMs - startedMs, progressColumns - 1)}`);
      isShown = true;
    },
    clear() {
      if (isShown) printError(ERASE);
      isShown = false;
    },
  };
}

/** One drawing of the bar, at most `columns` characters. @param elapsedMs since the first of this label */
export function progressLine({ label, done, total, unit }: Progress, elapsedMs: number, columns: number): string {
  const perSecond = elapsedMs > 0 ? (done * 1000) / elapsedMs : 0;
  const parts = [label];
  if (total > 0) {
    const share = Math.min(1, done / total);
    const filled = Math.floor(share * BAR_COLUMNS);
    parts.push(`[${'='.repeat(filled)}${filled < BAR_COLUMNS ? '>' : ''}${' '.repeat(Math.max(0, BAR_COLUMNS - filled - 1))}]`, `${String(Math.floor(share * 100)).padStart(3)}%`);
  } else parts.push(amount(done, unit));
  if (perSecond > 0) parts.push(`${amount(perSecond, unit)}/s`);
  if (perSecond > 0 && total > done && elapsedMs >= 1000) parts.push(`${formatDuration(Math.ceil((total - done) / perSecond) * 1000)} left`);
  return parts.join('  ').slice(0, Math.max(0, columns));
}

/** `1.5 MB`, `12.3k series`. */
function amount(count: number, unit: string): string {
  let size = 0;
  let value = count;
  while (value >= 1000 && size < 4) {
    value /= 1000;
    size++;
  }
  const digits = value.toFixed(size === 0 || value >= 100 ? 0 : 1);
  return unit === 'bytes' ? `${digits} ${['', 'k', 'M', 'G', 'T'][size]!}B` : `${digits}${['', 'k', 'M', 'G', 'T'][size]!} ${unit}`;
}
