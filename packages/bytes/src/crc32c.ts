/**
 * CRC-32C (Castagnoli, reflected polynomial 82F63B78), eight bytes per step through eight tables. Prometheus guards chunks,
 * index sections and WAL records with it. The kernels have a faster one for bytes already in their memory.
 */

const tables = makeTables();

/**
 * Checksum of `bytes`.
 * @param seed 0 to start, or the result over what came before
 * @returns unsigned 32-bit number
 */
export function crc32c(bytes: Uint8Array, seed: number = 0): number {
  const end = bytes.length;
  const stop = end & ~7;
  let crc = stop > 0 ? afterSteps(bytes, stop, ~seed) : ~seed;
  for (let at = stop; at < end; at++) crc = tables[(crc ^ bytes[at]!) & 0xff]! ^ (crc >>> 8);
  return ~crc >>> 0;
}

/**
 * The register after the first `stop` bytes, a multiple of eight. A function of its own: a loop that is optimized while it runs over the first long
 * input knows nothing of what follows it, and would give up there every time, which takes longer than a checksum.
 */
function afterSteps(bytes: Uint8Array, stop: number, crc: number): number {
  for (let at = 0; at < stop; at += 8) {
    const low = crc ^ (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24));
    crc =
      tables[0x700 + (low & 0xff)]! ^
      tables[0x600 + ((low >>> 8) & 0xff)]! ^
      tables[0x500 + ((low >>> 16) & 0xff)]! ^
      tables[0x400 + (low >>> 24)]! ^
      tables[0x300 + bytes[at + 4]!]! ^
      tables[0x200 + bytes[at + 5]!]! ^
      tables[0x100 + bytes[at + 6]!]! ^
      tables[bytes[at + 7]!]!;
  }
  return crc;
}

/** Table k (256 entries at k·256): the checksum of a byte followed by k zero bytes. */
function makeTables(): Int32Array {
  const made = new Int32Array(8 * 256);
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc & 1) === 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
    made[byte] = crc;
  }
  for (let k = 1; k < 8; k++) {
    for (let byte = 0; byte < 256; byte++) {
      const previous = made[(k - 1) * 256 + byte]!;
      made[k * 256 + byte] = made[previous & 0xff]! ^ (previous >>> 8);
    }
  }
  return made;
}
