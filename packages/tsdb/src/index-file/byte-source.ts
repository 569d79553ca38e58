/**
 * Bytes of one file, by range: what index readers need of a file, however it is held.
 *
 *   over memory   the whole file, small indexes and tests: views without copies
 *   over a file   pages of 64 KiB read on demand and kept in a small cache, for indexes too large to hold
 */
import type { FileHandle } from '../file-system.ts';

/** Random access to the bytes of one file. */
export interface ByteSource {
  /** Length of the file, bytes. */
  readonly bytes: number;
  /** Views stay valid for good. */
  readonly isStable: boolean;
  /** The range [offset, offset + length), shorter where the file ends. Read only; valid until the next call unless `isStable`. */
  view(offset: number, length: number): Uint8Array;
}

const PAGE_BYTES = 64 * 1024;
const PAGES_MAX = 256;
const NO_BYTES = new Uint8Array(0);

/** A source over bytes in memory. They are not copied. */
export function createMemorySource(data: Uint8Array): ByteSource {
  return {
    bytes: data.length,
    isStable: true,
    view: (offset, length) => data.subarray(Math.min(offset, data.length), Math.min(offset + length, data.length)),
  };
}

/** A source over an open file, which stays the caller's to close. Keeps at most 16 MiB of pages. */
export function createFileSource(handle: FileHandle): ByteSource {
  const bytes = handle.size();
  // Insertion order is age: the first key is the page to drop.
  const pages = new Map<number, Uint8Array>();
  const page = (number: number): Uint8Array => {
    const kept = pages.get(number);
    if (kept !== undefined) return kept;
    const data = new Uint8Array(Math.min(PAGE_BYTES, bytes - number * PAGE_BYTES));
    const got = handle.read(data, number * PAGE_BYTES);
    if (pages.size >= PAGES_MAX) pages.delete(pages.keys().next().value!);
    const filled = got === data.length ? data : data.subarray(0, got);
    pages.set(number, filled);
    return filled;
  };
  return {
    bytes,
    isStable: false,
    view(offset, length) {
      const end = Math.min(offset + length, bytes);
      if (offset >= end) return NO_BYTES;
      const first = Math.floor(offset / PAGE_BYTES);
      const last = Math.floor((end - 1) / PAGE_BYTES);
      if (first === last) return page(first).subarray(offset - first * PAGE_BYTES, end - first * PAGE_BYTES);
      const out = new Uint8Array(end - offset);
      if (last - first >= PAGES_MAX / 4) {
        const got = handle.read(out, offset);
        return got === out.length ? out : out.subarray(0, got);
      }
      for (let number = first; number <= last; number++) {
        const data = page(number);
        const from = Math.max(offset - number * PAGE_BYTES, 0);
        const to = Math.min(end - number * PAGE_BYTES, data.length);
        if (to > from) out.set(data.subarray(from, to), number * PAGE_BYTES + from - offset);
      }
      return out;
    },
  };
}
