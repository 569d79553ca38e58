/** LabelNames and LabelValues over chosen blocks: from the index-headers alone where no matcher is left, else from the labels of the matching series. */
import { compareUtf8 } from '@gauntlet/bytes';
import { createMatcher, getLabel, type Matcher } from '@gauntlet/model';
import type { LabelNamesRequest, LabelValuesRequest } from '@gauntlet/proto';
import { compileMatchers, splitExternalMatchers } from '@gauntlet/storeapi';
import type { BlockAccess } from './block-access.ts';
import { matchedSeries } from './block-series.ts';
import { expandPostings } from './expand-postings.ts';
import { wrapError } from './query-limits.ts';
import type { SeriesCall } from './run-series.ts';

/** Names of the labels of the matching series, external ones included, in byte order. */
export function runLabelNames(call: SeriesCall, request: LabelNamesRequest): Promise<string[]> {
  const removed = new Set(request.withoutReplicaLabels);
  return overBlocks(call, request, async (access, matchers) => {
    const names = new Set<string>();
    if (matchers.length === 0) for (const name of access.header.labelNames()) names.add(name);
    else {
      for await (const { labels } of seriesOf(call, access, matchers, request)) {
        for (let i = 0; i < labels.length; i += 2) names.add(labels[i]!);
      }
    }
    const { labels } = access.target;
    if (names.size > 0) for (let i = 0; i < labels.length; i += 2) names.add(labels[i]!);
    for (const name of removed) names.delete(name);
    return names;
  });
}

/** Values of a label over the matching series, in byte order. An external label hides a stored one of its name. */
export function runLabelValues(call: SeriesCall, request: LabelValuesRequest): Promise<string[]> {
  return overBlocks(call, request, async (access, matchers) => {
    const external = getLabel(access.target.labels, request.label);
    if (matchers.length === 0) return external === '' ? access.header.labelValues(request.label) : [external];
    if (external !== '') {
      for await (const _ of seriesOf(call, access, matchers, request)) return [external];
      return [];
    }
    // Only series that have the label; where a metric is named, its few series are cheaper to look at.
    const hasMetric = matchers.some((matcher) => matcher.name === '__name__' && matcher.type === '=');
    const all = hasMetric ? matchers : [...matchers, createMatcher('!=', request.label, '')];
    const values = new Set<string>();
    for await (const { labels } of seriesOf(call, access, all, request)) {
      const value = getLabel(labels, request.label);
      if (value !== '') values.add(value);
    }
    return values;
  });
}

async function overBlocks(
  { accesses }: SeriesCall,
  request: Pick<LabelNamesRequest, 'matchers' | 'limit'>,
  ofBlock: (access: BlockAccess, matchers: readonly Matcher[]) => Promise<Iterable<string>>,
): Promise<string[]> {
  const matchers = compileMatchers(request.matchers);
  const found = new Set<string>();
  const answers = await Promise.all(accesses.map(async (access) => {
    const rest = splitExternalMatchers(matchers, access.target.labels);
    return rest === undefined ? [] : ofBlock(access, rest);
  }));
  for (const values of answers) for (const value of values) found.add(value);
  const sorted = [...found].toSorted(compareUtf8);
  return request.limit > 0 ? sorted.slice(0, request.limit) : sorted;
}

async function* seriesOf(call: SeriesCall, access: BlockAccess, matchers: readonly Matcher[], request: LabelNamesRequest): ReturnType<typeof matchedSeries> {
  const { settings, limits, stats } = call;
  try {
    const expanded = await expandPostings(access, matchers, { isLazy: settings.lazyPostings, keySeriesRatioMax: settings.keySeriesRatioMax });
    if (expanded.lazyMatchers.length === 0) limits.reserveSeries(expanded.postings.length);
    if (expanded.postings.length === 0) stats.emptyPostings++;
    yield* matchedSeries(access, expanded, { minTime: request.start, maxTime: request.end }, settings.batchSeries);
  } catch (error) {
    throw wrapError(error, `iterate series for block ${access.target.id}`, 'ERR_STORE_INTERNAL');
  }
}
