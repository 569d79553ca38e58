/**
 * What a target sent before: series text → labels and reference, so that a series is parsed and relabelled once, and what has to be marked stale.
 *
 *   pass n     series a b c      current = [a b c]
 *   pass n+1   series a   c      previous = [a b c], current = [a c]   → b gets a stale marker
 *
 * A pass that fails is abandoned: its `current` is forgotten, `previous` stays. Each series remembers which one followed it, and that one is tried
 * first next time: as long as the target keeps its order no text is looked up.
 * Source: Prometheus scrape/scrape.go, scrapeCache.
 */
import { utf8Decode } from '@gauntlet/bytes';
import type { Labels } from '@gauntlet/model';

/** One series text of a target. */
export interface CachedSeries {
  /** Name and labels as sent. */
  readonly text: Uint8Array;
  /** After relabelling; undefined if that dropped the series. */
  readonly labels: Labels | undefined;
  /** Reference in the database, 0 if not known. */
  ref: number;
  /** Pass in which the text was last seen. */
  seenPass: number;
  /** Pass in which a sample was last taken that must be followed by another or a stale marker. */
  trackedPass: number;
  /** What followed it. */
  next: CachedSeries | undefined;
}

/** Help, type and unit of a metric family, as a target says. */
export interface FamilyMetadata {
  type: string;
  help: string;
  unit: string;
  seenPass: number;
  /** Pass in which it last said something else than before. */
  changedPass: number;
}

/** Families are remembered for so many passes after they were last described. */
const METADATA_PASSES = 10;

/** Memory of one target. */
export class SeriesCache {
  /** Number of the current pass. */
  pass = 1;
  /** First series of the last pass. */
  first: CachedSeries | undefined;
  /** By family name. */
  readonly metadata: Map<string, FamilyMetadata> = new Map();
  readonly #series = new Map<string, CachedSeries>();
  #previous: CachedSeries[] = [];
  #current: CachedSeries[] = [];
  #sizeAtSuccess = 0;

  /** Texts remembered. */
  get size(): number {
    return this.#series.size;
  }

  /** The series with this text. */
  get(bytes: Uint8Array, start: number, end: number): CachedSeries | undefined {
    return this.#series.get(utf8Decode(bytes, start, end));
  }

  /** Remembers a series; the text is copied. */
  add(bytes: Uint8Array, start: number, end: number, labels: Labels | undefined, ref: number): CachedSeries {
    const series: CachedSeries = { text: bytes.slice(start, end), labels, ref, seenPass: this.pass, trackedPass: 0, next: undefined };
    this.#series.set(utf8Decode(bytes, start, end), series);
    return series;
  }

  /** Notes that the series must be marked stale when it is missing from the next pass. */
  track(series: CachedSeries): void {
    if (series.trackedPass === this.pass) return;
    series.trackedPass = this.pass;
    this.#current.push(series);
  }

  /** The series of the last finished pass that this one lacks. */
  *stale(): Generator<CachedSeries> {
    for (const series of this.#previous) if (series.trackedPass !== this.pass) yield series;
  }

  /** Ends a pass. @param flush whether it brought something: texts it lacked are forgotten then */
  finishPass(flush: boolean): void {
    const mustFlush = flush || this.#series.size > 2 * this.#sizeAtSuccess + 1000;
    if (mustFlush) {
      for (const [text, series] of this.#series) if (series.seenPass !== this.pass) this.#series.delete(text);
      for (const [family, metadata] of this.metadata) if (this.pass - metadata.seenPass > METADATA_PASSES) this.metadata.delete(family);
    }
    if (flush) this.#sizeAtSuccess = this.#series.size;
    this.#previous = this.#current;
    this.#current = [];
    this.pass++;
  }

  /** Forgets what the current pass tracked, as its samples were rolled back. */
  abandonPass(): void {
    this.#current = [];
    this.pass++;
  }

  /** Notes what the target says of a family. */
  describe(name: string, what: 'type' | 'help' | 'unit', text: string): void {
    let metadata = this.metadata.get(name);
    if (metadata === undefined) {
      metadata = { type: 'unknown', help: '', unit: '', seenPass: this.pass, changedPass: this.pass };
      this.metadata.set(name, metadata);
    }
    metadata.seenPass = this.pass;
    if (metadata[what] === text) return;
    metadata[what] = text;
    metadata.changedPass = this.pass;
  }
}
