// CRC-32C (Castagnoli), sixteen bytes per step through sixteen tables (16 KiB, filled when the module starts).

const tables: usize = memory.data(16 * 256 * 4, 16);

fillTables();

/** See Kernels.crc32c. The result is a double because an exported u32 would arrive as a signed number. */
export function crc32c(ptr: usize, length: u32, seed: u32): f64 {
  let crc: u32 = ~seed;
  const end = ptr + length;
  while (ptr + 16 <= end) {
    const a = load<u64>(ptr) ^ <u64>crc;
    const b = load<u64>(ptr, 8);
    crc =
      entry(15, <u32>a & 0xff) ^
      entry(14, <u32>(a >> 8) & 0xff) ^
      entry(13, <u32>(a >> 16) & 0xff) ^
      entry(12, <u32>(a >> 24) & 0xff) ^
      entry(11, <u32>(a >> 32) & 0xff) ^
      entry(10, <u32>(a >> 40) & 0xff) ^
      entry(9, <u32>(a >> 48) & 0xff) ^
      entry(8, <u32>(a >> 56)) ^
      entry(7, <u32>b & 0xff) ^
      entry(6, <u32>(b >> 8) & 0xff) ^
      entry(5, <u32>(b >> 16) & 0xff) ^
      entry(4, <u32>(b >> 24) & 0xff) ^
      entry(3, <u32>(b >> 32) & 0xff) ^
      entry(2, <u32>(b >> 40) & 0xff) ^
      entry(1, <u32>(b >> 48) & 0xff) ^
      entry(0, <u32>(b >> 56));
    ptr += 16;
  }
  if (ptr + 8 <= end) {
    const a = load<u64>(ptr) ^ <u64>crc;
    crc =
      entry(7, <u32>a & 0xff) ^
      entry(6, <u32>(a >> 8) & 0xff) ^
      entry(5, <u32>(a >> 16) & 0xff) ^
      entry(4, <u32>(a >> 24) & 0xff) ^
      entry(3, <u32>(a >> 32) & 0xff) ^
      entry(2, <u32>(a >> 40) & 0xff) ^
      entry(1, <u32>(a >> 48) & 0xff) ^
      entry(0, <u32>(a >> 56));
    ptr += 8;
  }
  if (ptr + 4 <= end) {
    const a = load<u32>(ptr) ^ crc;
    crc = entry(3, a & 0xff) ^ entry(2, (a >> 8) & 0xff) ^ entry(1, (a >> 16) & 0xff) ^ entry(0, a >> 24);
    ptr += 4;
  }
  while (ptr < end) {
    crc = entry(0, (crc ^ load<u8>(ptr)) & 0xff) ^ (crc >>> 8);
    ptr++;
  }
  return <f64>(~crc);
}

// @ts-ignore: decorator
@inline
function entry(table: usize, index: u32): u32 {
  return load<u32>(tables + (table << 10) + (<usize>index << 2));
}

/** Table k: the checksum of a byte followed by k zero bytes. */
function fillTables(): void {
  for (let byte: u32 = 0; byte < 256; byte++) {
    let crc = byte;
    for (let i = 0; i < 8; i++) crc = (crc & 1) != 0 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
    store<u32>(tables + (<usize>byte << 2), crc);
  }
  for (let table: usize = 1; table < 16; table++) {
    for (let byte: u32 = 0; byte < 256; byte++) {
      const previous = entry(table - 1, byte);
      store<u32>(tables + (table << 10) + (<usize>byte << 2), entry(0, previous & 0xff) ^ (previous >>> 8));
    }
  }
}
