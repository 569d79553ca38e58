/**
 * Remote-write 1.0 requests at the speed of a kernel: decompressed and scanned in kernel memory, where samples stay columns and the labels of a
 * series are one range of bytes.
 *
 *   body ─ snappy ─► message ─ scan ─► row 0, row 1, …                ordinary series: labels, then floats
 *                              └─────► others, beside the row that    histograms, exemplars, metadata, unusual encodings: columns of
 *                                      each of them comes before      time-series-columns.ts, by remote-write-decode.ts
 *
 * What the scan lets pass, the decoder takes too, with the same result; what is damaged gets the decoder's error.
 */
import { snappyDecode, snappyPlainLength, utf8Decode } from '@gauntlet/bytes';
import { KernelError, type Kernels, SNAPPY_SLACK_BYTES, WRITE_ROW_BYTES, WRITE_SCAN, WRITE_STATE_BYTES } from '@gauntlet/kernels';
import type { Labels } from '@gauntlet/model';
import { ProtoError } from './errors.ts';
import { decodeWriteRequestField } from './remote-write-decode.ts';
import { createTimeSeriesColumns, type TimeSeriesColumns } from './time-series-columns.ts';

const ROWS_FIRST = 1024;
const SAMPLE_BYTES = 8;
const fatalUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * The request that was scanned last. Pointers are into the memory of the kernels and stay good until the next request; what lies there is as
 * `scanWriteRequest` of kernels describes it.
 */
export class WriteRequestScanner {
  /** The message. */
  bytesPtr = 0;
  /** A row of WRITE_ROW_BYTES per ordinary series. */
  rowsPtr = 0;
  seriesCount = 0;
  /** Times, ms, and values of all ordinary series, Float64. */
  timesPtr = 0;
  valuesPtr = 0;
  sampleCount = 0;
  /** Everything else in the request. */
  readonly others: TimeSeriesColumns = createTimeSeriesColumns();
  /** Per series of `others` the row that it comes before. */
  readonly otherRows: number[] = [];

  readonly #kernels: Kernels;
  #bodyPtr = 0;
  #bodyRoom = 0;
  #bytesRoom = 0;
  #rowMax = 0;
  #sampleMax = 0;
  #statePtr = 0;

  /** @param kernels their memory keeps room for the largest request so far, until `close` */
  constructor(kernels: Kernels) {
    this.#kernels = kernels;
  }

  /**
   * Takes a request in.
   * @param body as sent, one snappy block; not retained
   * @param maxBytes most bytes of the message
   * @throws BytesError as `snappyDecode`, ProtoError as `decodeWriteRequest`, KernelError when the memory is too small
   */
  scan(body: Uint8Array, maxBytes: number): void {
    this.#forget();
    const plainBytes = snappyPlainLength(body, { maxBytes });
    try {
      this.#scanBlock(body, plainBytes);
    } catch (error) {
      this.#forget();
      // Or one request that was too large would leave no room for any other.
      if (error instanceof KernelError) this.close();
      throw error;
    }
  }

  #scanBlock(body: Uint8Array, plainBytes: number): void {
    const { memory } = this.#kernels;
    this.#reserve(body.length, plainBytes);
    memory.u8(this.#bodyPtr, body.length).set(body);
    if (this.#kernels.snappyDecode(this.#bodyPtr, body.length, this.bytesPtr, plainBytes) < 0) {
      snappyDecode(body, { maxBytes: plainBytes });
      throw new ProtoError('ERR_PROTO_VALUE', `decompress write request: two decoders disagree about ${body.length} bytes`);
    }
    this.#scanMessage(plainBytes);
  }

  /**
   * Labels of an ordinary series, flat names and values, in the order of the message.
   * @throws ProtoError ERR_PROTO_VALUE where they are not UTF-8
   */
  labels(row: number): Labels {
    const { memory } = this.#kernels;
    const [start, end] = memory.i32(this.rowsPtr + row * WRITE_ROW_BYTES, 2) as unknown as readonly [number, number];
    const bytes = memory.u8(this.bytesPtr + start, end - start);
    const reader = this.others.reader.reset(bytes);
    const labels: string[] = [];
    while (reader.tag() !== 0) {
      const outer = reader.enter();
      for (let text = 0; text < 2; text++) {
        reader.tag();
        const length = reader.length();
        const at = reader.skipBytes(length);
        labels.push(strictText(bytes, at, at + length, row));
      }
      reader.leave(outer);
    }
    return labels;
  }

  /** Gives its memory back; the scanner may be used again. */
  close(): void {
    const { memory } = this.#kernels;
    this.#forget();
    for (const ptr of [this.#bodyPtr, this.bytesPtr, this.rowsPtr, this.timesPtr, this.valuesPtr, this.#statePtr]) if (ptr !== 0) memory.free(ptr);
    this.#bodyPtr = this.bytesPtr = this.rowsPtr = this.timesPtr = this.valuesPtr = this.#statePtr = 0;
    this.#bodyRoom = this.#bytesRoom = this.#rowMax = this.#sampleMax = 0;
  }

  #forget(): void {
    this.seriesCount = 0;
    this.sampleCount = 0;
    this.otherRows.length = 0;
    this.others.reset(new Uint8Array(0));
  }

  #scanMessage(length: number): void {
    const kernels = this.#kernels;
    const { memory } = kernels;
    memory.i32(this.#statePtr, 3).fill(0);
    for (;;) {
      const reason = kernels.scanWriteRequest(this.bytesPtr, length, this.rowsPtr, this.#rowMax, this.timesPtr, this.valuesPtr, this.#sampleMax, this.#statePtr);
      const state = memory.i32(this.#statePtr, 3);
      this.seriesCount = state[1]!;
      this.sampleCount = state[2]!;
      if (reason === WRITE_SCAN.end) return;
      if (reason === WRITE_SCAN.noRoom) this.#growColumns();
      else state[0] = this.#decodeOther(state[0]!, length);
    }
  }

  /** Decodes the field at an offset. @returns the offset behind it */
  #decodeOther(offset: number, length: number): number {
    const { others } = this;
    // Its ranges are to outlive the memory's present buffer.
    if (others.bytes.length === 0) others.reset(this.#kernels.memory.u8(this.bytesPtr, length).slice());
    const before = others.seriesCount;
    const reader = others.reader.reset(others.bytes, offset);
    decodeWriteRequestField(reader, others);
    if (others.seriesCount > before) this.otherRows.push(this.seriesCount);
    return reader.pos;
  }

  #reserve(bodyBytes: number, plainBytes: number): void {
    const { memory } = this.#kernels;
    if (bodyBytes + SNAPPY_SLACK_BYTES > this.#bodyRoom) {
      if (this.#bodyPtr !== 0) memory.free(this.#bodyPtr);
      this.#bodyPtr = 0;
      this.#bodyRoom = 0;
      this.#bodyPtr = memory.alloc(bodyBytes + SNAPPY_SLACK_BYTES);
      this.#bodyRoom = bodyBytes + SNAPPY_SLACK_BYTES;
    }
    if (plainBytes + SNAPPY_SLACK_BYTES > this.#bytesRoom) {
      if (this.bytesPtr !== 0) memory.free(this.bytesPtr);
      this.bytesPtr = 0;
      this.#bytesRoom = 0;
      this.bytesPtr = memory.alloc(plainBytes + SNAPPY_SLACK_BYTES);
      this.#bytesRoom = plainBytes + SNAPPY_SLACK_BYTES;
    }
    if (this.#statePtr === 0) this.#statePtr = memory.alloc(WRITE_STATE_BYTES);
    if (this.#rowMax === 0) this.#growColumns();
  }

  /** Gives the column that is full, or both, twice the room. */
  #growColumns(): void {
    if (this.#rowMax === this.seriesCount) {
      const rowMax = Math.max(ROWS_FIRST, this.#rowMax * 2);
      this.rowsPtr = this.#moved(this.rowsPtr, this.seriesCount * WRITE_ROW_BYTES, rowMax * WRITE_ROW_BYTES);
      this.#rowMax = rowMax;
      if (this.#sampleMax > 0) return;
    }
    const sampleMax = Math.max(ROWS_FIRST, this.#sampleMax * 2);
    this.timesPtr = this.#moved(this.timesPtr, this.sampleCount * SAMPLE_BYTES, sampleMax * SAMPLE_BYTES);
    this.valuesPtr = this.#moved(this.valuesPtr, this.sampleCount * SAMPLE_BYTES, sampleMax * SAMPLE_BYTES);
    this.#sampleMax = sampleMax;
  }

  /** An allocation of `room` bytes with what another one holds, which is given back. */
  #moved(ptr: number, bytes: number, room: number): number {
    const { memory } = this.#kernels;
    const to = memory.alloc(room);
    if (ptr === 0) return to;
    memory.u8(to, bytes).set(memory.u8(ptr, bytes));
    memory.free(ptr);
    return to;
  }
}

function strictText(bytes: Uint8Array, start: number, end: number, row: number): string {
  const text = utf8Decode(bytes, start, end);
  if (!text.includes('\ufffd')) return text;
  try {
    return fatalUtf8.decode(bytes.subarray(start, end));
  } catch {
    throw new ProtoError('ERR_PROTO_VALUE', `decode write request: labels of series ${row} are not UTF-8: ${JSON.stringify(text)}`);
  }
}
