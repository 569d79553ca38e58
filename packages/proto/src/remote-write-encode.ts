/**
 * Builds remote-write 1.0 requests, uncompressed:
 *
 *   encoder.beginSeries(encodeLabelFields(labels)); encoder.addSamples(timestampsMs, values, 0, n); encoder.endSeries();
 *   const body = snappyEncode(encoder.take());
 *
 * Source: Prometheus prompb/remote.proto.
 */
import { int64Length, WireWriter } from './wire-writer.ts';

/** One request at a time; `take` starts the next. */
export class WriteRequestEncoder {
  readonly #w: WireWriter = new WireWriter(16 * 1024);
  #mark = -1;

  /** @param labelFields from `encodeLabelFields` */
  beginSeries(labelFields: Uint8Array): void {
    this.#w.byte(0x0a);
    this.#mark = this.#w.open();
    this.#w.raw(labelFields);
  }

  /** Adds rows `[start, end)` of two parallel columns; value bits are kept, NaN payloads too. */
  addSamples(timestampsMs: Float64Array, values: Float64Array, start: number, end: number): void {
    const words = new Uint32Array(values.buffer, values.byteOffset, values.length * 2);
    const w = this.#w;
    for (let i = start; i < end; i++) {
      const timestampMs = timestampsMs[i]!;
      w.byte(0x12);
      w.byte(9 + (timestampMs === 0 ? 0 : 1 + int64Length(timestampMs)));
      w.byte(0x09);
      w.fixed64Words(words[2 * i]!, words[2 * i + 1]!);
      if (timestampMs === 0) continue;
      w.byte(0x10);
      w.int64(timestampMs);
    }
  }

  endSeries(): void {
    this.#w.close(this.#mark);
  }

  /** The request, which belongs to the caller; the encoder is empty again. */
  take(): Uint8Array {
    const bytes = this.#w.take();
    this.#w.reset();
    return bytes;
  }
}
