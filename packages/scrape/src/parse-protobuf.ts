/**
 * Reads a protobuf exposition, one entry at a time, in the terms of the text formats:
 *
 *   length MetricFamily  length MetricFamily …
 *          └ name help type unit  metric*  ─►  help, unit, type, then per metric: its sample, or
 *              native histogram, then, if wanted too, the classic one
 *              classic histogram: x_count, x_sum, x_bucket{le="…"} …   (le="+Inf" is added where it is missing)
 *              summary: x_count, x_sum, x{quantile="…"} …
 *
 * A series text is put together here: name and labels with their lengths in 7-bit digits, so that it is ASCII wherever the labels are, then what part of
 * the metric it is. The same metric gives the same text in every scrape.
 * Source: Prometheus model/textparse/protobufparse.go.
 */
import { utf8Decode, utf8Encode } from '@gauntlet/bytes';
import { type FloatHistogram, type IntegerHistogram, isValidMetricName, METRIC_NAME, quoteGo } from '@gauntlet/model';
import { ProtoError, WireReader } from '@gauntlet/proto';
import { ScrapeError } from './errors.ts';
import type { EntryKind, ExposedExemplar, ExpositionReader, ReadOptions } from './exposition.ts';
import { nativeHistogram } from './native-histogram.ts';
import { formatOpenMetricsFloat } from './parse-float.ts';
import { MetricReader, passOver, PROTO_METRIC_TYPES, type ProtoMetricType, readLabelPair, readTimestamp } from './read-metric.ts';

const BYTES = 2;
/** Seven-bit digits of a length: four hold every length in a body of the greatest size; ten hold the bits of a double. */
const LENGTH_DIGITS = 4;
const DOUBLE_DIGITS = 10;

/** Which part of a metric an entry is; also the byte that says so in its series text. */
const PART = { value: 0x76, count: 0x63, sum: 0x73, bound: 0x62, native: 0x6e } as const;
type Part = (typeof PART)[keyof typeof PART];

const SUFFIX: Readonly<Record<Part, string>> = { [PART.value]: '', [PART.count]: '_count', [PART.sum]: '_sum', [PART.bound]: '', [PART.native]: '' };

const NO_EXEMPLARS: readonly ExposedExemplar[] = [];
const strictDecoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

const double = new Float64Array(1);
const words = new Uint32Array(double.buffer);

/** What a part of the state machine did: whether there is an entry to give. */
type Step = EntryKind | undefined;

/** See the head of this file. */
export class ProtobufParser implements ExpositionReader {
  seriesBytes: Uint8Array = new Uint8Array(512);
  readonly seriesStart = 0;
  seriesEnd = 0;
  value = 0;
  hasTimestamp = false;
  timestampMs = 0;
  family = '';
  text = '';
  expected: Uint8Array | undefined;
  isExpected = false;

  readonly #bytes: Uint8Array;
  readonly #options: ReadOptions;
  /** At the end of the family just read. */
  readonly #outer = new WireReader();
  readonly #wire = new WireReader();
  readonly #metric = new MetricReader();
  #familyCount = 0;
  #type: ProtoMetricType = 'unknown';
  #nameBytes: Uint8Array = new Uint8Array(0);
  #help = '';
  #unit = '';
  /** Start and end of each metric of the family. */
  readonly #metrics: number[] = [];
  #nextMetric = 0;
  /** Metadata still to be given: 3 help, 2 unit, 1 type, 0 none. */
  #metadataLeft = 0;
  /** Part of the metric given last; undefined before the first. */
  #part: Part | undefined;
  #isMetricDone = true;
  /** Index of the bound given last. */
  #bound = 0;
  /** End of name and labels in the series text. */
  #prefixEnd = 0;

  /** `bytes` is read, not changed, and kept until the parser is dropped. */
  constructor(bytes: Uint8Array, options: ReadOptions = {}) {
    this.#bytes = bytes;
    this.#options = options;
    this.#outer.reset(bytes);
  }

  next(): EntryKind {
    try {
      for (;;) {
        if (this.#metadataLeft > 0) {
          const kind = this.#nextMetadata();
          if (kind !== undefined) return kind;
          continue;
        }
        if (!this.#isMetricDone) {
          const kind = this.#nextPart();
          if (kind !== undefined) return kind;
          continue;
        }
        if (this.#nextMetric < this.#metrics.length) this.#beginMetric();
        else if (!this.#beginFamily()) return 'end';
      }
    } catch (error) {
      throw this.#named(error);
    }
  }

  labels(): [name: string, value: string][] {
    const { labels, labelsEnd } = this.#metric;
    const isBucket = this.#part === PART.bound && this.#isHistogram();
    const pairs: [string, string][] = [[METRIC_NAME, `${this.family}${isBucket ? '_bucket' : SUFFIX[this.#part!]}`]];
    for (let i = 0; i < labelsEnd; i += 4) pairs.push([this.#string(labels[i]!, labels[i + 1]!, 'label name'), this.#string(labels[i + 2]!, labels[i + 3]!, 'label value')]);
    if (this.#part === PART.bound) pairs.push([isBucket ? 'le' : 'quantile', formatOpenMetricsFloat(this.#boundValue())]);
    return pairs;
  }

  histogram(): FloatHistogram | IntegerHistogram {
    try {
      return nativeHistogram(this.#metric, this.#type === 'gaugehistogram');
    } catch (error) {
      throw this.#named(error);
    }
  }

  exemplars(): readonly ExposedExemplar[] {
    const { bucketExemplars, exemplar, nativeExemplars } = this.#metric;
    if (this.#type === 'counter') return exemplar.start < 0 ? NO_EXEMPLARS : this.#exemplarsOf([exemplar.start, exemplar.end]);
    if (this.#part === PART.bound && this.#isHistogram()) return this.#exemplarsOf(bucketExemplars.slice(this.#bound * 2, this.#bound * 2 + 2));
    if (this.#part !== PART.native) return NO_EXEMPLARS;
    // Without a time nobody can tell a repetition from another exemplar.
    return this.#exemplarsOf(nativeExemplars.length > 0 ? nativeExemplars : bucketExemplars).filter(({ timeMs }) => timeMs !== undefined);
  }

  startMs(): number {
    return this.#metric.startMs;
  }

  /** Reads what precedes the metrics of the next family, and where these are. @returns false at the end */
  #beginFamily(): boolean {
    const outer = this.#outer;
    if (outer.pos >= this.#bytes.length) return false;
    this.#familyCount++;
    this.family = '';
    this.#help = '';
    this.#unit = '';
    this.#metrics.length = 0;
    this.#nextMetric = 0;
    outer.end = this.#bytes.length;
    const end = outer.length() + outer.pos;
    outer.end = end;
    let type = 0;
    let nameAt = -1;
    let helpAt = -1;
    let unitAt = -1;
    for (let tag = outer.tag(); tag !== 0; tag = outer.tag()) {
      const at = outer.pos;
      if (tag === ((3 << 3) | 0)) {
        type = outer.int32();
        continue;
      }
      if ((tag & 7) !== BYTES || tag >>> 3 > 5) {
        passOver(outer, tag, 0b111110);
        continue;
      }
      const bytes = outer.length();
      const start = outer.skipBytes(bytes);
      if (tag >>> 3 === 1) nameAt = at;
      else if (tag >>> 3 === 2) helpAt = at;
      else if (tag >>> 3 === 4) this.#metrics.push(start, start + bytes);
      else if (tag >>> 3 === 5) unitAt = at;
      else throw outer.wireType(tag, 'field');
    }
    if (this.#metrics.length === 0) return true;
    this.family = nameAt < 0 ? '' : this.#stringAt(nameAt, 'metric name');
    if (!isValidMetricName(this.family)) throw new ScrapeError('ERR_SCRAPE_PARSE', `invalid metric name: ${quoteGo(this.family)}`);
    this.#help = helpAt < 0 ? '' : this.#stringAt(helpAt, 'help');
    this.#unit = unitAt < 0 ? '' : this.#stringAt(unitAt, 'unit');
    const known = PROTO_METRIC_TYPES[type];
    if (known === undefined) throw new ScrapeError('ERR_SCRAPE_PARSE', `unknown metric type ${type}`);
    this.#type = known;
    this.#nameBytes = utf8Encode(this.family);
    this.#metadataLeft = 3;
    return true;
  }

  #nextMetadata(): Step {
    switch (this.#metadataLeft--) {
      case 3:
        this.text = this.#help;
        return 'help';
      case 2:
        this.text = this.#unit;
        return this.#unit === '' ? undefined : 'unit';
      default:
        this.text = this.#type;
        return 'type';
    }
  }

  #beginMetric(): void {
    const start = this.#metrics[this.#nextMetric]!;
    const end = this.#metrics[this.#nextMetric + 1]!;
    this.#nextMetric += 2;
    const metric = this.#metric;
    metric.read(this.#wire.reset(this.#bytes, start, end), this.#type);
    this.timestampMs = metric.timestampMs;
    this.hasTimestamp = metric.timestampMs !== 0;
    this.#isMetricDone = false;
    this.#part = undefined;
    this.#bound = -1;
    this.#putPrefix();
  }

  /** Goes to the next part of the metric. */
  #nextPart(): Step {
    const metric = this.#metric;
    if (this.#type !== 'summary' && !this.#isHistogram()) {
      this.#isMetricDone = true;
      return this.#give(PART.value, metric.value);
    }
    const count = metric.countFloat > 0 ? metric.countFloat : metric.count;
    switch (this.#part) {
      case undefined:
        if (this.#isHistogram() && metric.isNative && this.#options.ignoreNative !== true) {
          this.#isMetricDone = !(this.#options.alwaysClassic === true && metric.bounds.length > 0);
          this.#give(PART.native, 0);
          return 'histogram';
        }
        return this.#give(PART.count, count);
      case PART.native:
        return this.#give(PART.count, count);
      case PART.count:
        this.#isMetricDone = !this.#isHistogram() && metric.bounds.length === 0;
        return this.#give(PART.sum, metric.sum);
      default: {
        const index = ++this.#bound;
        // A histogram ends with its bound of +Inf, written or not; a summary with its last quantile.
        this.#isMetricDone = this.#isHistogram() ? this.#boundValue() === Number.POSITIVE_INFINITY : index === metric.bounds.length - 1;
        return this.#give(PART.bound, index < metric.bounds.length ? metric.boundValues[index]! : count);
      }
    }
  }

  #isHistogram(): boolean {
    return this.#type === 'histogram' || this.#type === 'gaugehistogram';
  }

  /** The bound of the current part. */
  #boundValue(): number {
    const { bounds } = this.#metric;
    return this.#bound < bounds.length ? bounds[this.#bound]! : Number.POSITIVE_INFINITY;
  }

  /** Writes name and labels in front of the series text. */
  #putPrefix(): void {
    const { labels, labelsEnd } = this.#metric;
    const name = this.#nameBytes;
    let size = LENGTH_DIGITS + name.length + 1 + DOUBLE_DIGITS;
    for (let i = 0; i < labelsEnd; i += 2) size += LENGTH_DIGITS + labels[i + 1]! - labels[i]!;
    if (size > this.seriesBytes.length) this.seriesBytes = new Uint8Array(size * 2);
    let at = this.#putBytes(name, 0, name.length, 0);
    for (let i = 0; i < labelsEnd; i += 2) at = this.#putBytes(this.#bytes, labels[i]!, labels[i + 1]!, at);
    this.#prefixEnd = at;
  }

  /** Length and bytes. @returns the end */
  #putBytes(from: Uint8Array, start: number, end: number, at: number): number {
    const out = this.seriesBytes;
    let to = putDigits(out, at, end - start, LENGTH_DIGITS);
    for (let i = start; i < end; i++) out[to++] = from[i]!;
    return to;
  }

  /** Finishes the series text and compares it with what is expected. */
  #give(part: Part, value: number): 'series' {
    const out = this.seriesBytes;
    this.#part = part;
    this.value = value;
    let end = this.#prefixEnd;
    out[end++] = part;
    if (part === PART.bound) {
      double[0] = this.#boundValue();
      end = putDigits(out, end, words[0]!, DOUBLE_DIGITS / 2);
      end = putDigits(out, end, words[1]!, DOUBLE_DIGITS / 2);
    }
    this.seriesEnd = end;
    this.isExpected = equalBytes(this.expected, out, end);
    return 'series';
  }

  #exemplarsOf(ranges: readonly number[]): ExposedExemplar[] {
    const found: ExposedExemplar[] = [];
    try {
      for (let i = 0; i < ranges.length; i += 2) {
        const exemplar = ranges[i]! < 0 ? undefined : this.#readExemplar(ranges[i]!, ranges[i + 1]!);
        if (exemplar !== undefined) found.push(exemplar);
      }
    } catch (error) {
      throw this.#named(error);
    }
    return found;
  }

  /** @returns undefined where labels are not UTF-8: that is no reason to lose the scrape */
  #readExemplar(start: number, end: number): ExposedExemplar | undefined {
    const wire = this.#wire.reset(this.#bytes, start, end);
    const offsets: number[] = [];
    let value = 0;
    let timeMs: number | undefined;
    for (let tag = wire.tag(); tag !== 0; tag = wire.tag()) {
      if (tag === ((1 << 3) | BYTES)) {
        const outer = wire.enter();
        readLabelPair(wire, offsets, offsets.length);
        wire.leave(outer);
      } else if (tag === ((2 << 3) | 1)) value = wire.double();
      else if (tag === ((3 << 3) | BYTES)) timeMs = readTimestamp(wire);
      else passOver(wire, tag, 0b1110);
    }
    const labels: [string, string][] = [];
    for (let i = 0; i < offsets.length; i += 4) {
      const name = decodeUtf8(this.#bytes, offsets[i]!, offsets[i + 1]!);
      const text = decodeUtf8(this.#bytes, offsets[i + 2]!, offsets[i + 3]!);
      if (name === undefined || text === undefined) return undefined;
      labels.push([name, text]);
    }
    return { labels, value, timeMs };
  }

  /** The string whose length is at an offset that has been read before. */
  #stringAt(at: number, what: string): string {
    const view = this.#wire.reset(this.#bytes, at).view();
    const start = view.byteOffset - this.#bytes.byteOffset;
    return this.#string(start, start + view.length, what);
  }

  #string(start: number, end: number, what: string): string {
    const text = decodeUtf8(this.#bytes, start, end);
    if (text === undefined) throw this.#named(new ScrapeError('ERR_SCRAPE_PARSE', `${what} ${quoteGo(utf8Decode(this.#bytes, start, end).slice(0, 120))} is not valid UTF-8`));
    return text;
  }

  /** Says in which family it happened. */
  #named(error: unknown): Error {
    const place = `metric family ${this.#familyCount}${this.family === '' ? '' : ` ${quoteGo(this.family)}`}`;
    if (error instanceof ProtoError) return new ScrapeError('ERR_SCRAPE_PARSE', `${place}: ${error.message}`, { cause: error });
    if (error instanceof ScrapeError && !error.message.startsWith('metric family ')) return new ScrapeError(error.code, `${place}: ${error.message}`, { cause: error });
    return error as Error;
  }
}

/** Writes so many seven-bit digits of a number below 2^32, lowest first. @returns the end */
function putDigits(out: Uint8Array, at: number, number: number, digits: number): number {
  let rest = number;
  for (let i = 0; i < digits; i++) {
    out[at + i] = rest & 0x7f;
    rest >>>= 7;
  }
  return at + digits;
}

function equalBytes(expected: Uint8Array | undefined, bytes: Uint8Array, length: number): boolean {
  if (expected === undefined || expected.length !== length) return false;
  // From the end: that is where the parts of one metric differ.
  for (let i = length - 1; i >= 0; i--) if (expected[i] !== bytes[i]) return false;
  return true;
}

/** Text of bytes; undefined if they are not UTF-8. */
function decodeUtf8(bytes: Uint8Array, start: number, end: number): string | undefined {
  for (let i = start; i < end; i++) {
    if (bytes[i]! < 0x80) continue;
    try {
      return strictDecoder.decode(bytes.subarray(start, end));
    } catch {
      return undefined;
    }
  }
  return utf8Decode(bytes, start, end);
}
