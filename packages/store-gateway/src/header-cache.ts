/**
 * Index-headers opened in one thread. The bytes are shared by all threads; what is kept here per header are samples of its tables
 * and a small symbol cache, some 60 KiB, for the most recently used ones.
 */
import { type IndexHeader, openIndexHeader } from '@gauntlet/block';
import { LRUCache } from 'lru-cache';

/** Headers kept open per thread. */
export const OPEN_HEADERS_MAX = 512;

/** See the head of this file. */
export interface HeaderCache {
  /**
   * @param load which load of the block's header the bytes are: memory that two threads share is another object in every message
   * @throws BlockError ERR_INDEX_HEADER_CORRUPT
   */
  open(block: string, bytes: SharedArrayBuffer, load: number): IndexHeader;
}

/** Creates an empty cache. @param max headers kept open */
export function createHeaderCache(max: number = OPEN_HEADERS_MAX): HeaderCache {
  const opened = new LRUCache<string, { readonly load: number; readonly header: IndexHeader }>({ max });
  return {
    open(block, bytes, load) {
      const known = opened.get(block);
      // A header that was loaded anew is other memory.
      if (known?.load === load) return known.header;
      const header = openIndexHeader(new Uint8Array(bytes), block);
      opened.set(block, { load, header });
      return header;
    },
  };
}
