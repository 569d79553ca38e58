/** Log lines of a worker thread as plain data, for the thread that started it to write. */
import { errorText, type LogFields, type Logger } from '@gauntlet/service-kit';

/** A line on its way. */
export interface ThreadLogLine {
  readonly kind: 'log';
  readonly level: 'error' | 'warn' | 'info' | 'debug';
  readonly message: string;
  /** Plain data, which alone can go to another thread. */
  readonly fields: Record<string, unknown>;
}

/** Makes a logger whose lines go to `say`. The thread that writes them knows the level, and leaves out what is below. */
export function createThreadLogger(say: (line: ThreadLogLine) => void, inherited: LogFields = {}): Logger {
  const line =
    (level: ThreadLogLine['level']) =>
    (message: string, fields: LogFields = {}): void =>
      say({ kind: 'log', level, message, fields: plainFields({ ...inherited, ...fields }) });
  return { error: line('error'), warn: line('warn'), info: line('info'), debug: line('debug'), enabled: () => true, child: (fields) => createThreadLogger(say, { ...inherited, ...fields }) };
}

function plainFields(fields: LogFields): Record<string, unknown> {
  const plain: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(fields)) plain[key] = value instanceof Error ? errorText(value) : typeof value === 'object' ? JSON.stringify(value) : typeof value === 'function' || typeof value === 'symbol' ? String(value) : value;
  return plain;
}
