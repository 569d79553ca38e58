/**
 * Blocks of a database folder, or a folder that is itself a block: found by meta.json, shown as a table.
 *
 *   BLOCK ULID                  MIN TIME       MAX TIME       DURATION  NUM SAMPLES  NUM CHUNKS  NUM SERIES  SIZE
 *
 * Source of the table's format: Prometheus cmd/promtool/tsdb.go.
 */
import { formatGoDuration } from '@gauntlet/model';
import { errorText, type Logger } from '@gauntlet/service-kit';
import { baseName, BLOCK_FILES, type BlockMeta, type FileSystem, isUlid, joinPath, readBlockMeta, ulidTimeMs } from '@gauntlet/tsdb';
import { ToolsError } from './errors.ts';

/** A block found. */
export interface BlockFolder {
  readonly dir: string;
  readonly meta: BlockMeta;
  /** Of all its files. */
  readonly bytes: number;
}

/** Blocks of a folder, oldest first; folders named like blocks whose meta.json cannot be read. */
export interface FoundFolders {
  readonly blocks: readonly BlockFolder[];
  readonly unreadable: readonly { readonly dir: string; readonly error: unknown }[];
}

/**
 * Finds blocks; reads nothing but meta.json.
 * @param path database, or one block
 * @throws ToolsError ERR_TSDB_FOLDER when there is no such folder
 */
export function findBlockFolders(fs: FileSystem, path: string): FoundFolders {
  const dir = path === '' ? '.' : path.replace(/(?<=.)\/+$/, '');
  if (fs.stat(dir)?.kind !== 'directory') throw new ToolsError('ERR_TSDB_FOLDER', `look for blocks in ${dir}: ${fs.stat(dir) === undefined ? 'there is no such folder' : 'it is no folder'}`);
  const isBlock = fs.stat(joinPath(dir, BLOCK_FILES.meta)) !== undefined;
  const dirs = isBlock ? [dir] : fs.list(dir).filter((name) => isUlid(name)).map((name) => joinPath(dir, name)).filter((one) => fs.stat(one)?.kind === 'directory');
  const blocks: BlockFolder[] = [];
  const unreadable: { dir: string; error: unknown }[] = [];
  for (const one of dirs) {
    try {
      blocks.push({ dir: one, meta: readBlockMeta(fs, one), bytes: folderBytes(fs, one) });
    } catch (error) {
      unreadable.push({ dir: one, error });
    }
  }
  blocks.sort((a, b) => a.meta.minTime - b.meta.minTime || (a.meta.ulid < b.meta.ulid ? -1 : 1));
  return { blocks, unreadable };
}

/** Says which blocks cannot be read, and ends if there are any. @throws ToolsError ERR_TSDB_FOLDER */
export function refuseUnreadable({ unreadable }: FoundFolders, log: Logger): void {
  for (const { dir, error } of unreadable) log.error('block cannot be read', { dir, err: errorText(error) });
  if (unreadable.length > 0) throw new ToolsError('ERR_TSDB_FOLDER', `read blocks: ${unreadable.length} of them cannot be read, first ${baseName(unreadable[0]!.dir)}: ${errorText(unreadable[0]!.error)}`);
}

/**
 * One block of those found: that of an id, else the one made last, as its id says.
 * @throws ToolsError ERR_NO_BLOCK, ERR_TSDB_FOLDER
 */
export function chooseBlock(found: FoundFolders, path: string, id: string): BlockFolder {
  if (id === '') {
    let last: BlockFolder | undefined;
    for (const block of found.blocks.toSorted((a, b) => (a.meta.ulid < b.meta.ulid ? -1 : 1))) if (last === undefined || ulidTimeMs(block.meta.ulid) > ulidTimeMs(last.meta.ulid)) last = block;
    if (last === undefined) throw new ToolsError('ERR_NO_BLOCK', `look for the last block in ${path}: there is none`);
    return last;
  }
  const block = found.blocks.find(({ meta }) => meta.ulid === id);
  if (block !== undefined) return block;
  const broken = found.unreadable.find(({ dir }) => baseName(dir) === id);
  if (broken !== undefined) throw new ToolsError('ERR_TSDB_FOLDER', `read block ${id}: ${errorText(broken.error)}`, broken.error);
  throw new ToolsError('ERR_NO_BLOCK', `look for block ${id} in ${path}: there are ${found.blocks.length === 0 ? 'no blocks' : found.blocks.map(({ meta }) => meta.ulid).join(', ')}`);
}

function folderBytes(fs: FileSystem, dir: string): number {
  const bytesOf = (path: string): number => fs.stat(path)?.bytes ?? 0;
  const chunksDir = joinPath(dir, BLOCK_FILES.chunks);
  const segments = fs.stat(chunksDir)?.kind === 'directory' ? fs.list(chunksDir) : [];
  return [BLOCK_FILES.meta, BLOCK_FILES.index, BLOCK_FILES.tombstones].reduce((sum, file) => sum + bytesOf(joinPath(dir, file)), 0) + segments.reduce((sum, file) => sum + bytesOf(joinPath(chunksDir, file)), 0);
}

const HEADER = ['BLOCK ULID', 'MIN TIME', 'MAX TIME', 'DURATION', 'NUM SAMPLES', 'NUM CHUNKS', 'NUM SERIES', 'SIZE'];
const COLUMN_CHARACTERS_MIN = 13;
const PADDING = 2;

/** Blocks as promtool lists them. @param isReadable times and sizes for people */
export function blockTable(blocks: readonly Pick<BlockFolder, 'meta' | 'bytes'>[], hasHeader: boolean, isReadable: boolean): string {
  const rows = blocks.map(({ meta, bytes }) => [
    meta.ulid,
    isReadable ? readableTime(meta.minTime) : String(meta.minTime),
    isReadable ? readableTime(meta.maxTime) : String(meta.maxTime),
    formatGoDuration(meta.maxTime - meta.minTime),
    String(meta.stats.numSamples),
    String(meta.stats.numChunks),
    String(meta.stats.numSeries),
    isReadable ? readableBytes(bytes) : String(bytes),
  ]);
  if (hasHeader) rows.unshift(HEADER);
  const widths = HEADER.map((_name, i) => Math.max(COLUMN_CHARACTERS_MIN, ...rows.map((row) => row[i]!.length + PADDING)));
  return rows.map((row) => `${row.map((cell, i) => (i === row.length - 1 ? cell : cell.padEnd(widths[i]!))).join('')}\n`).join('');
}

/** As Go prints a time in UTC, whole seconds. */
function readableTime(ms: number): string {
  const date = new Date(Math.trunc(ms / 1000) * 1000);
  return Number.isNaN(date.getTime()) ? `${ms}ms` : `${date.toISOString().replace('T', ' ').replace(/\.\d+Z$/, '')} +0000 UTC`;
}

/** `19KiB243B`: every unit that is not 0, as promtool has it. */
function readableBytes(bytes: number): string {
  if (bytes === 0) return '0B';
  let text = '';
  let rest = bytes;
  for (const [i, unit] of ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'].entries()) {
    const part = i === 5 ? rest : rest % 1024;
    if (part !== 0) text = `${part}${unit}${text}`;
    rest = Math.floor(rest / 1024);
    if (rest === 0) break;
  }
  return text;
}
