/**
 * Matchers → series references of one block.
 *
 *   1 each matcher becomes a group of label values, looked up in the index-header: to *add* (it rejects '') or to *remove*
 *   2 the postings lists of all groups come from the cache or from few merged range reads; checksums are checked
 *   3 ∩ of the unions of add groups (all series if there is none) − ∪ of remove groups
 *
 * With lazy expansion a group whose lists cost more to read than the series they would rule out is not read at all: its matcher is
 * applied to the labels of the series instead. The header tells the length of a list without reading it.
 * Source of behaviour: Thanos pkg/store/bucket.go, lazy_postings.go.
 */
import type { PostingsRange } from '@gauntlet/block';
import { compareUtf8 } from '@gauntlet/bytes';
import { formatMatcher, type Matcher } from '@gauntlet/model';
import { be32, decodePostings, EMPTY_POSTINGS, intersectPostings, type Postings, sectionBody, unionPostings, withoutPostings } from '@gauntlet/tsdb';
import { type BlockAccess, indexKey } from './block-access.ts';
import { StoreGatewayError } from './errors.ts';
import { planRanges } from './range-plan.ts';

/** Series of a block that may match. */
export interface ExpandedPostings {
  readonly postings: Postings;
  /** Matchers that were not evaluated: the labels of each series must pass them. */
  readonly lazyMatchers: readonly Matcher[];
}

/** How to expand. */
export interface ExpandOptions {
  /** `--store.enable-lazy-expanded-postings` */
  readonly isLazy: boolean;
  /** A group with more lists than this times the series that can match is lazy too; 0 is no limit. */
  readonly keySeriesRatioMax: number;
}

interface Group {
  readonly matcher: Matcher;
  readonly isAdd: boolean;
  readonly ranges: readonly PostingsRange[];
  readonly bytes: number;
}

/** Guess for one series entry when weighing reads, bytes. */
const SERIES_BYTES_GUESS = 512;
/** Part of the series a lazy matcher is assumed to keep. */
const SERIES_MATCH_RATIO = 0.5;
const NONE: ExpandedPostings = { postings: EMPTY_POSTINGS, lazyMatchers: [] };

/**
 * Expands matchers (without those on external labels). No matchers at all select nothing, as in Thanos.
 * @throws StoreGatewayError ERR_BLOCK_DAMAGED; StoreError for a limit; ObjstoreError
 */
export async function expandPostings(access: BlockAccess, matchers: readonly Matcher[], options: ExpandOptions): Promise<ExpandedPostings> {
  if (matchers.length === 0) return NONE;
  const cacheKey = `EP:${access.target.id}:${matchers.map((matcher) => formatMatcher(matcher)).toSorted(compareUtf8).join(';')}`;
  const [known] = await access.io.cached('ExpandedPostings', [cacheKey]);
  if (known !== undefined) {
    access.stats.postings.touched++;
    access.stats.postings.touchedBytes += known.length;
    access.limits.reserveBytes(known.length, 'while loading expanded postings from index cache');
    return { postings: fromBytes(known), lazyMatchers: [] };
  }
  const groups = makeGroups(access, matchers);
  if (groups === undefined) {
    access.io.cache('ExpandedPostings', [[cacheKey, new Uint8Array(0)]]);
    return NONE;
  }
  const { read, lazy } = options.isLazy ? splitLazy(groups, options) : { read: groups, lazy: [] };
  const adds = read.filter((group) => group.isAdd);
  const removes = read.filter((group) => !group.isAdd);
  const all = adds.length > 0 ? undefined : access.header.postings('', '');
  if (adds.length === 0 && all === undefined) return NONE;

  const ranges = [...read.flatMap((group) => group.ranges), ...(all === undefined ? [] : [all])];
  const lists = await loadPostings(access, ranges);
  const listOf = (range: PostingsRange): Postings => lists.get(range.start)!;
  let postings = intersectPostings(all === undefined ? adds.map((group) => unionPostings(group.ranges.map(listOf))) : [listOf(all)]);
  if (removes.length > 0) postings = withoutPostings(postings, unionPostings(removes.flatMap((group) => group.ranges.map(listOf))));
  if (lazy.length === 0) access.io.cache('ExpandedPostings', [[cacheKey, new Uint8Array(postings.buffer, postings.byteOffset, postings.byteLength)]]);
  else access.stats.lazyExpanded++;
  return { postings, lazyMatchers: lazy.map((group) => group.matcher) };
}

function fromBytes(bytes: Uint8Array): Postings {
  return new Uint32Array(bytes.slice().buffer);
}

/** @returns undefined when no series can match */
function makeGroups(access: BlockAccess, matchers: readonly Matcher[]): Group[] | undefined {
  const { header } = access;
  const groups: Group[] = [];
  for (const matcher of matchers) {
    if (matcher.type === '=~' && matcher.value === '.*') continue;
    if (matcher.type === '!~' && matcher.value === '.*') return undefined;
    const isAdd = !matcher.matches('');
    const values = valuesOf(access, matcher, isAdd);
    const found = header.postingsOf(matcher.name, values).filter((range) => range !== undefined);
    if (found.length > 0) groups.push({ matcher, isAdd, ranges: found, bytes: found.reduce((sum, range) => sum + range.end - range.start, 0) });
    else if (isAdd) return undefined;
  }
  return groups;
}

/** Values of the label that the matcher accepts (`isAdd`) or rejects, without ''. In byte order. */
function valuesOf({ header, throwIfCancelled }: BlockAccess, matcher: Matcher, isAdd: boolean): readonly string[] {
  const isListed = isAdd ? matcher.type === '=' || matcher.type === '=~' : matcher.type === '!=' || matcher.type === '!~';
  const listed = matcher.type === '=' || matcher.type === '!=' ? [matcher.value] : matcher.setMatches;
  if (isListed && listed !== undefined && listed.length > 0) return listed.filter((value) => value !== '').toSorted(compareUtf8);
  const values = header.labelValues(matcher.name);
  throwIfCancelled();
  return values.filter((value) => value !== '' && matcher.matches(value) === isAdd);
}

/** Series of a group at most: a list is length, count, 4 bytes each, checksum. */
function cardinality(group: Group): number {
  return group.ranges.reduce((sum, range) => sum + Math.max(0, range.end - range.start - 12) / 4, 0);
}

function splitLazy(groups: readonly Group[], { keySeriesRatioMax }: ExpandOptions): { read: readonly Group[]; lazy: readonly Group[] } {
  const adds = groups.filter((group) => group.isAdd).toSorted((a, b) => cardinality(a) - cardinality(b));
  const first = adds[0];
  if (first === undefined) return { read: groups, lazy: [] };
  let seriesMax = cardinality(first);
  const read: Group[] = [first];
  const lazy: Group[] = [];
  for (const group of [...adds.slice(1), ...groups.filter((candidate) => !candidate.isAdd)]) {
    const savedBytes = seriesMax * (1 - SERIES_MATCH_RATIO) * SERIES_BYTES_GUESS;
    const hasTooManyKeys = keySeriesRatioMax > 0 && group.ranges.length > keySeriesRatioMax * seriesMax;
    if (group.bytes > savedBytes || hasTooManyKeys) {
      lazy.push(group);
      continue;
    }
    read.push(group);
    if (group.isAdd) seriesMax = Math.ceil(seriesMax * SERIES_MATCH_RATIO);
  }
  return { read, lazy };
}

/** Postings lists by where they start. */
async function loadPostings(access: BlockAccess, ranges: readonly PostingsRange[]): Promise<Map<number, Postings>> {
  const { io, stats, limits, target, clock } = access;
  const unique = [...new Map(ranges.map((range) => [range.start, range])).values()].toSorted((a, b) => a.start - b.start);
  const cached = await io.cached('Postings', unique.map((range) => postingsKey(target.id, range)));
  const lists = new Map<number, Postings>();
  const missing: PostingsRange[] = [];
  let cachedBytes = 0;
  for (const [i, range] of unique.entries()) {
    const bytes = cached[i];
    if (bytes === undefined) {
      missing.push(range);
      continue;
    }
    cachedBytes += bytes.length;
    lists.set(range.start, decodeList(bytes, range, target.id));
  }
  stats.postings.touched += unique.length;
  stats.postings.touchedBytes += cachedBytes;
  limits.reserveBytes(cachedBytes, 'while loading postings from index cache');
  if (missing.length === 0) return lists;

  const parts = planRanges(Float64Array.from(missing, (range) => range.start), Float64Array.from(missing, (range) => range.end), missing.length);
  const fetchedBytes = parts.reduce((sum, part) => sum + part.end - part.start, 0);
  limits.reserveBytes(fetchedBytes, 'while fetching postings');
  stats.postings.fetched += missing.length;
  stats.postings.fetchedBytes += fetchedBytes;
  stats.postings.fetches += parts.length;
  await Promise.all(parts.map(async (part) => {
    const startMs = clock();
    const bytes = await io.read(indexKey(target.id), part.start, part.end - part.start);
    stats.postings.fetchMs += clock() - startMs;
    const entries: [string, Uint8Array][] = [];
    for (let i = part.first; i < part.last; i++) {
      const range = missing[i]!;
      const framed = bytes.subarray(range.start - part.start, range.end - part.start);
      lists.set(range.start, decodeList(framed, range, target.id));
      stats.postings.touchedBytes += framed.length;
      entries.push([postingsKey(target.id, range), framed]);
    }
    io.cache('Postings', entries);
    io.release(bytes.length);
    io.reuse(bytes);
  }));
  return lists;
}

function postingsKey(id: string, range: PostingsRange): string {
  return `P:${id}:${range.start}`;
}

/** A list in its frame `u32 length · u32 count · references · CRC`. */
function decodeList(framed: Uint8Array, range: PostingsRange, id: string): Postings {
  const damaged = (what: string, cause?: unknown): StoreGatewayError =>
    new StoreGatewayError('ERR_BLOCK_DAMAGED', `read postings of block ${id}: object ${indexKey(id)}, offset ${range.start}: ${what}`, { cause });
  let body: Uint8Array;
  try {
    body = sectionBody(framed, 'postings', range.start, id);
  } catch (error) {
    throw damaged(error instanceof Error ? error.message : String(error), error);
  }
  if (body.length < 4 || be32(body, 0) * 4 + 4 !== body.length) throw damaged(`${body.length} bytes do not hold the list they announce`);
  const list = decodePostings(body.subarray(4));
  for (let i = 1; i < list.length; i++) if (list[i]! <= list[i - 1]!) throw damaged(`reference ${list[i]} after ${list[i - 1]}`);
  return list;
}
