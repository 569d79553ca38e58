/**
 * What the verification of a block says: findings, each with its place, kept up to a limit and counted beyond it.
 *
 *   damage   bytes that are not what was written: reading them is refused
 *   fault    readable, and against the rules that queries and compaction rely on
 *   note     odd and harmless
 */
import { TsdbError } from '../errors.ts';

/** How bad; see the head of this file. */
export type FindingSeverity = 'damage' | 'fault' | 'note';

/** Stable codes of findings, by file. */
export type FindingCode =
  | 'FILE_MISSING'
  | 'FILE_UNKNOWN'
  | 'FILE_SIZE'
  | 'META_UNREADABLE'
  | 'META_ULID'
  | 'META_RANGE'
  | 'META_STATS'
  | 'META_SOURCES'
  | 'META_KEY'
  | 'META_DIGEST'
  | 'INDEX_UNREADABLE'
  | 'SYMBOLS_ORDER'
  | 'SERIES_UNREADABLE'
  | 'SERIES_ORDER'
  | 'SERIES_GAP'
  | 'LABELS_ORDER'
  | 'LABELS_EMPTY'
  | 'CHUNKS_NONE'
  | 'CHUNKS_OUTSIDE'
  | 'CHUNKS_OVERLAP'
  | 'CHUNKS_DUPLICATE'
  | 'LABEL_INDICES'
  | 'POSTINGS_UNREADABLE'
  | 'POSTINGS_TABLE'
  | 'POSTINGS_WRONG'
  | 'CHUNK_UNREADABLE'
  | 'CHUNK_ENCODING'
  | 'CHUNK_SAMPLES'
  | 'CHUNK_GAP'
  | 'TOMBSTONES_UNREADABLE'
  | 'TOMBSTONES_SERIES';

/** One thing that is not as it should be. */
export interface BlockFinding {
  readonly severity: FindingSeverity;
  readonly code: FindingCode;
  /** Below the block's folder: `index`, `chunks/000001`, … */
  readonly file: string;
  /** Part of the file, '' for all of it. */
  readonly section: string;
  /** Bytes from the start of the file; −1 where no place can be named. */
  readonly offset: number;
  /** Labels in PromQL's notation, '' when it is not about one series. */
  readonly series: string;
  /** A sentence: got versus wanted. */
  readonly message: string;
}

/** Takes findings in. */
export class Findings {
  readonly #max: number;
  readonly kept: BlockFinding[] = [];
  readonly counts: Record<FindingSeverity, number> = { damage: 0, fault: 0, note: 0 };

  /** @param max how many are kept */
  constructor(max: number) {
    this.#max = max;
  }

  add(severity: FindingSeverity, code: FindingCode, place: Partial<Pick<BlockFinding, 'file' | 'section' | 'offset' | 'series'>>, message: string): void {
    this.counts[severity]++;
    if (this.kept.length < this.#max) this.kept.push({ severity, code, file: '', section: '', offset: -1, series: '', ...place, message });
  }

  /** Takes an error of reading in, as damage at the place that it names. @throws any other error than a TsdbError */
  addError(error: unknown, code: FindingCode, place: Partial<Pick<BlockFinding, 'file' | 'section' | 'offset' | 'series'>> = {}): void {
    if (!(error instanceof TsdbError)) throw error;
    const { file, section, offset } = { file: '', section: '', offset: -1, ...place, ...error.place };
    this.add('damage', code, { ...place, file, section, offset }, error.message);
  }
}
