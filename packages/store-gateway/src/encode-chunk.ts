/**
 * A chunk as it lies in a segment → the chunk of a Series message. Raw encodings pass as they are; an aggregate chunk of a
 * downsampled block is taken apart, and only what the request asks for is sent.
 *
 *   aggregate chunk   5 × (uvarint length │ encoding │ payload of that length), an absent one is a single 0
 *   in the order      count, sum, min, max, counter
 *
 * Source: Thanos pkg/compact/downsample/aggr.go.
 */
import { xxhash64 } from '@gauntlet/bytes';
import { CHUNK_ENCODING } from '@gauntlet/model';
import { AGGREGATE, type SeriesFrameEncoder } from '@gauntlet/proto';
import { StoreGatewayError } from './errors.ts';

/** Encoding byte of an aggregate chunk. */
export const AGGREGATE_CHUNK_ENCODING = 0xff;
const NAMES = ['count', 'sum', 'min', 'max', 'counter'] as const;
const PASSED_ON: ReadonlySet<number> = new Set(Object.values(CHUNK_ENCODING));

/** Position of one aggregate inside an aggregate chunk. */
interface Part {
  encoding: number;
  start: number;
  end: number;
}

/**
 * Adds a chunk to the open series.
 * @param aggregates wanted of an aggregate chunk, numbers of AGGREGATE; raw is none
 * @throws StoreGatewayError ERR_CHUNK_UNSUPPORTED for an unknown encoding or an aggregate that is not there, with Thanos' texts; ERR_BLOCK_DAMAGED
 */
export function encodeChunk(encoder: SeriesFrameEncoder, mint: number, maxt: number, encoding: number, payload: Uint8Array, aggregates: readonly number[]): void {
  if (PASSED_ON.has(encoding)) {
    const hash = xxhash64(payload);
    encoder.addChunk(mint, maxt, encoding, payload, hash.hi, hash.lo);
    return;
  }
  if (encoding !== AGGREGATE_CHUNK_ENCODING) throw new StoreGatewayError('ERR_CHUNK_UNSUPPORTED', `unsupported chunk encoding ${encoding}`);
  encoder.beginChunk(mint, maxt);
  const part: Part = { encoding: 0, start: 0, end: 0 };
  for (const [index, name] of NAMES.entries()) {
    if (!aggregates.includes(AGGREGATE[name])) continue;
    if (!findPart(payload, index, part)) throw new StoreGatewayError('ERR_CHUNK_UNSUPPORTED', `aggregate ${name} does not exist`);
    const data = payload.subarray(part.start, part.end);
    const hash = xxhash64(data);
    encoder.addPart(AGGREGATE[name], part.encoding, data, hash.hi, hash.lo);
  }
  encoder.endChunk();
}

/** Finds aggregate `index`. @returns false when it is absent */
function findPart(payload: Uint8Array, index: number, out: Part): boolean {
  let at = 0;
  for (let i = 0; ; i++) {
    let length = 0;
    let scale = 1;
    let byte: number;
    do {
      if (at >= payload.length || scale > 2 ** 28) throw new StoreGatewayError('ERR_BLOCK_DAMAGED', `read aggregate chunk: ${payload.length} bytes end before aggregate ${NAMES[i]}`);
      byte = payload[at++]!;
      length += (byte & 0x7f) * scale;
      scale *= 128;
    } while (byte >= 0x80);
    if (length === 0) {
      if (i === index) return false;
      continue;
    }
    if (at + 1 + length > payload.length) throw new StoreGatewayError('ERR_BLOCK_DAMAGED', `read aggregate chunk: aggregate ${NAMES[i]} of ${length} bytes passes its end (${payload.length} bytes)`);
    if (i === index) {
      out.encoding = payload[at]!;
      out.start = at + 1;
      out.end = at + 1 + length;
      return true;
    }
    at += 1 + length;
  }
}
