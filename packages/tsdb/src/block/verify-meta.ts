/** First part of verification: which files there are, and what meta.json says of them and of itself. */
import { utf8Decode } from '@gauntlet/bytes';
import { baseName, type FileSystem, joinPath, readFile } from '../file-system.ts';
import type { BlockMeta } from './block-meta.ts';
import { BLOCK_FILES, readBlockMeta } from './block-reader.ts';
import { checkMetaDigest } from './meta-digest.ts';
import { isUlid } from './ulid.ts';
import type { Findings } from './verify-findings.ts';

const FILE = BLOCK_FILES.meta;
/** Files that Thanos and Prometheus put beside a block's own. */
const KNOWN_FILES: ReadonlySet<string> = new Set([...Object.values(BLOCK_FILES), 'no-compact-mark.json', 'no-downsample-mark.json', 'deletion-mark.json', 'visit-mark.json', 'debug']);

/** Reads and checks meta.json. @returns undefined when it cannot be read */
export function verifyMeta(fs: FileSystem, dir: string, findings: Findings): BlockMeta | undefined {
  const folder = baseName(dir);
  for (const file of [BLOCK_FILES.index, BLOCK_FILES.chunks]) {
    if (fs.stat(joinPath(dir, file)) === undefined) findings.add('damage', 'FILE_MISSING', { file }, `${file} is missing`);
  }
  for (const file of fs.list(dir)) if (!KNOWN_FILES.has(file)) findings.add('note', 'FILE_UNKNOWN', { file }, `${file} is no file of a block`);
  if (fs.stat(joinPath(dir, FILE)) === undefined) {
    findings.add('damage', 'FILE_MISSING', { file: FILE }, `${FILE} is missing`);
    return undefined;
  }
  let meta: BlockMeta;
  try {
    meta = readBlockMeta(fs, dir);
  } catch (error) {
    findings.addError(error, 'META_UNREADABLE', { file: FILE });
    return undefined;
  }
  const add = (severity: 'fault' | 'note' | 'damage', code: 'META_ULID' | 'META_RANGE' | 'META_SOURCES' | 'META_KEY', message: string): void => findings.add(severity, code, { file: FILE }, message);
  if (meta.ulid !== folder) add(isUlid(folder) ? 'damage' : 'note', 'META_ULID', `ulid is ${meta.ulid}, the folder's name ${folder}`);
  if (meta.maxTime <= meta.minTime) add('damage', 'META_RANGE', `maxTime ${meta.maxTime} is not after minTime ${meta.minTime}`);
  const { compaction } = meta;
  if (compaction.level < 1) add('fault', 'META_SOURCES', `compaction.level is ${compaction.level}, want 1 or more`);
  if (compaction.sources.length === 0) add('fault', 'META_SOURCES', 'compaction.sources is empty, want the blocks of level 1 that went in');
  for (const source of compaction.sources) if (!isUlid(source)) add('damage', 'META_SOURCES', `compaction.sources has ${JSON.stringify(source)}, which is no ULID`);
  verifyKeys(readFile(fs, joinPath(dir, FILE)), add);
  try {
    checkMetaDigest(meta);
  } catch (error) {
    findings.addError(error, 'META_DIGEST', { file: FILE });
  }
  verifySizes(fs, dir, meta, findings);
  return meta;
}

const KEYS = {
  '': { wanted: ['ulid', 'minTime', 'maxTime', 'stats', 'compaction', 'version'], known: ['thanos'] },
  'stats.': { wanted: [], known: ['numSamples', 'numFloatSamples', 'numHistogramSamples', 'numSeries', 'numChunks', 'numTombstones'] },
  'compaction.': { wanted: ['level'], known: ['sources', 'deletable', 'parents', 'failed', 'hints'] },
} as const;

/** Keys that are read as zero because they are not there, or mean nothing: a damaged key looks like both. */
function verifyKeys(bytes: Uint8Array, add: (severity: 'fault' | 'note', code: 'META_KEY', message: string) => void): void {
  const json = JSON.parse(utf8Decode(bytes)) as { readonly stats?: object; readonly compaction?: object };
  for (const [path, { wanted, known }] of Object.entries(KEYS)) {
    const object = path === '' ? json : path === 'stats.' ? (json.stats ?? {}) : (json.compaction ?? {});
    const keys = Object.keys(object);
    for (const key of wanted) if (!keys.includes(key)) add('fault', 'META_KEY', `${path}${key} is missing`);
    const names: readonly string[] = [...wanted, ...known];
    for (const key of keys) if (!names.includes(key)) add('note', 'META_KEY', `key ${JSON.stringify(path + key)} is none of a block's`);
  }
}

/** Sizes in `thanos.files`, names in `thanos.segment_files`, where Thanos wrote them. */
function verifySizes(fs: FileSystem, dir: string, meta: BlockMeta, findings: Findings): void {
  const thanos = meta.thanos as { files?: unknown; segment_files?: unknown } | null | undefined;
  const list = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);
  for (const file of list(thanos?.files)) {
    const { rel_path: path, size_bytes: want } = (file ?? {}) as { rel_path?: unknown; size_bytes?: unknown };
    if (typeof path !== 'string' || path === FILE || typeof want !== 'number') continue;
    const got = fs.stat(joinPath(dir, path));
    if (got === undefined) findings.add('damage', 'FILE_MISSING', { file: path }, `${path} is missing, which thanos.files has`);
    else if (got.bytes !== want) findings.add('damage', 'FILE_SIZE', { file: path }, `${path} has ${got.bytes} bytes, thanos.files says ${want}`);
  }
  for (const name of list(thanos?.segment_files)) {
    const file = `${BLOCK_FILES.chunks}/${String(name)}`;
    if (fs.stat(joinPath(dir, file)) === undefined) findings.add('damage', 'FILE_MISSING', { file }, `${file} is missing, which thanos.segment_files has`);
  }
}

/** What the block was found to hold. */
export interface BlockFigures {
  readonly numSeries: number;
  readonly numChunks: number;
  readonly numSamples: number;
  readonly numFloatSamples: number;
  readonly numHistogramSamples: number;
}

/**
 * Holds the counters of meta.json to what was counted.
 * @param isComplete whether all series and chunks could be read: else the counters differ anyhow
 */
export function verifyStats(meta: BlockMeta, figures: BlockFigures, isComplete: boolean, findings: Findings): void {
  if (!isComplete) return;
  const { stats } = meta;
  for (const key of ['numSeries', 'numChunks', 'numSamples', 'numFloatSamples', 'numHistogramSamples'] as const) {
    const want = stats[key];
    // Thanos' downsampling carries these two over from the block of raw samples.
    if (figures.numFloatSamples + figures.numHistogramSamples < figures.numSamples && (key === 'numFloatSamples' || key === 'numHistogramSamples')) continue;
    // Blocks of older Prometheus do not count floats and histograms apart.
    if (want === undefined && stats.numFloatSamples === undefined && stats.numHistogramSamples === undefined) continue;
    if ((want ?? 0) !== figures[key]) findings.add('fault', 'META_STATS', { file: FILE, section: 'stats' }, `meta.json says ${key} ${want ?? 0}, the block has ${figures[key]}`);
  }
  if (stats.numTombstones !== undefined && stats.numTombstones < 0) findings.add('fault', 'META_STATS', { file: FILE, section: 'stats' }, `meta.json says numTombstones ${stats.numTombstones}`);
}
