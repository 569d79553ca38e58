/** Names of blocks and of what is in them. A block is a directory named by a ULID. */
import { isUlid } from '@gauntlet/tsdb';

/** The file that makes a directory a block; uploaded last, deleted first. */
export const META_FILE = 'meta.json';
/** The index. */
export const INDEX_FILE = 'index';
/** Directory of the chunk segments. */
export const CHUNKS_DIR = 'chunks';
/** Local file with the parts of the index a store gateway keeps. */
export const INDEX_HEADER_FILE = 'index-header';

/** The block id a path names with its last element (a trailing `/` does not count), or undefined. */
export function blockIdOf(path: string): string | undefined {
  const bare = path.endsWith('/') ? path.slice(0, -1) : path;
  const name = bare.slice(bare.lastIndexOf('/') + 1);
  return isUlid(name) ? name : undefined;
}
