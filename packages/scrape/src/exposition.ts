/**
 * What every reader of an exposition offers, whatever the format:
 *
 *   next() ─► 'type' 'help' 'unit'   family, text
 *          ─► 'series'               series text, value, timestamp; labels(), exemplars(), startMs()
 *          ─► 'histogram'            the same with histogram() in place of a value: protobuf only
 *          ─► 'end'
 *
 * The series text is a name for a series of one target, the same in every scrape: bytes of the exposition, or put together by the reader.
 */
import type { FloatHistogram, IntegerHistogram } from '@gauntlet/model';

/** Formats; `openmetrics` is 1.0 and 0.0.1, `text` is Prometheus' own, `protobuf` are delimited MetricFamily messages. */
export type ExpositionFormat = 'text' | 'openmetrics' | 'protobuf';
/** What `next` came upon. Comments are passed over. */
export type EntryKind = 'series' | 'histogram' | 'type' | 'help' | 'unit' | 'end';

/** An exemplar as exposed. */
export interface ExposedExemplar {
  /** Name and value pairs in the order written; names may repeat. */
  readonly labels: readonly (readonly [name: string, value: string])[];
  readonly value: number;
  /** ms since 1970; undefined where the exposition has none. */
  readonly timeMs: number | undefined;
}

/** A reader over one exposition. Fields are valid after the `next` that set them. */
export interface ExpositionReader {
  /** The series text is `seriesBytes[seriesStart, seriesEnd)`; the next entry may overwrite it. */
  readonly seriesBytes: Uint8Array;
  readonly seriesStart: number;
  readonly seriesEnd: number;
  /** Value of the sample; NaN stands for every NaN. */
  readonly value: number;
  readonly hasTimestamp: boolean;
  /** Milliseconds since 1970, if there is one. */
  readonly timestampMs: number;
  /** Metric family of a type, help or unit entry, and its text. */
  readonly family: string;
  readonly text: string;
  /** What the caller expects as the next series text, if anything: labels of a series that was expected are not looked at. */
  expected: Uint8Array | undefined;
  /** Whether the last series was the expected one; `labels` may not be called then. */
  readonly isExpected: boolean;
  /** Goes to the next entry. @throws ScrapeError ERR_SCRAPE_PARSE, with the place */
  next(): EntryKind;
  /** Labels of the current series, `__name__` first; names may repeat, values may be empty. @throws ScrapeError ERR_SCRAPE_PARSE */
  labels(): [name: string, value: string][];
  /** The native histogram of a 'histogram' entry, without empty buckets, the caller's to keep. @throws ScrapeError ERR_SCRAPE_PARSE */
  histogram(): FloatHistogram | IntegerHistogram;
  /** Exemplars of the current entry; those of native histograms have timestamps. @throws ScrapeError ERR_SCRAPE_PARSE */
  exemplars(): readonly ExposedExemplar[];
  /** Since when the current sample counts, ms since 1970; 0 = not said. */
  startMs(): number;
}

/** How to read. */
export interface ReadOptions {
  /** Native parts of histograms are passed over: such a histogram is a classic one. Default false. */
  readonly ignoreNative?: boolean;
  /** Histograms that are native too are given as classic ones as well. Default false. */
  readonly alwaysClassic?: boolean;
  /** `_created` series of OpenMetrics are start timestamps of others, not series. Default false. */
  readonly createdAsStart?: boolean;
}
