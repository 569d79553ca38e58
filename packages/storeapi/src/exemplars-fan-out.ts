/**
 * Exemplars of many endpoints. Each gets those selectors that its external labels do not contradict; matchers on labels that it has as external ones
 * are left out, since a Prometheus knows nothing of them, but for queriers, which do.
 *
 *   {__name__="a", replica="x"}   endpoint replica="x" ─► {__name__="a"}     endpoint replica="y" ─► not asked
 *
 * Source of behaviour: Thanos pkg/exemplars/proxy.go.
 */
import { formatMatcher, type Labels, type Matcher, hasLabel } from '@gauntlet/model';
import { decodeExemplarsResponse, type ExemplarSeries, PARTIAL_RESPONSE } from '@gauntlet/proto';
import { type AskedEndpoint, askEndpoints } from './ask-endpoints.ts';
import type { ExemplarsClient } from './exemplars-service.ts';
import type { RulesFanOutOptions } from './rules-fan-out.ts';
import { labelSetsMatch } from './select-stores.ts';

/** One endpoint that announced exemplars. */
export interface ExemplarsEndpoint extends ExemplarsClient {
  /** For messages. */
  readonly address: string;
  /** External labels it announced. */
  readonly labelSets: readonly Labels[];
  /** A querier: it finds out itself what external labels mean. */
  readonly takesExternalLabels: boolean;
}

/** What is asked for. */
export interface ExemplarsQuestion {
  /** Selectors of the query, one list of matchers each. */
  readonly selectors: readonly (readonly Matcher[])[];
  /** ms since 1970, both inclusive. */
  readonly startMs: number;
  readonly endMs: number;
  /** Whether an endpoint that fails is only a warning. */
  readonly partialResponse: boolean;
}

/** What all endpoints said. */
export interface ExemplarsAnswer {
  /** Endpoint by endpoint; series of replicas are not united. */
  readonly series: readonly ExemplarSeries[];
  /** Each text once. */
  readonly warnings: readonly string[];
}

/** Selects everything, where no matcher is left: an empty selector is refused. */
const ANY = '{__name__=~".+"}';

/** A sidecar of Thanos hands times on as text; those near the int64 limits, which stand for "any", do not come out as times of its Prometheus. */
const TIME_MAX_MS = 8_640_000_000_000_000;

/** Decoded exemplars take more than their bytes on the wire: labels become arrays of strings. */
const DECODED_FACTOR = 7;

/** @throws StoreError of the first endpoint that failed, without `partialResponse`; the signal's reason; what the charge throws */
export async function fanOutExemplars(endpoints: readonly ExemplarsEndpoint[], question: ExemplarsQuestion, options: RulesFanOutOptions = {}): Promise<ExemplarsAnswer> {
  const { partialResponse } = question;
  const start = Math.max(question.startMs, -TIME_MAX_MS);
  const end = Math.min(question.endMs, TIME_MAX_MS);
  const asked = endpoints.flatMap((endpoint): AskedEndpoint[] => {
    const query = queryFor(endpoint, question.selectors);
    if (query === '') return [];
    const request = { query, start, end, partialResponseStrategy: partialResponse ? PARTIAL_RESPONSE.warn : PARTIAL_RESPONSE.abort };
    return [{ address: endpoint.address, ask: (callOptions) => endpoint.exemplars(request, callOptions) }];
  });
  const found: ExemplarSeries[][] = asked.map(() => []);
  const warnings = new Set<string>();
  await askEndpoints(asked, { ...options, what: 'exemplars', aborts: !partialResponse }, {
    onFrame(frame, index) {
      options.charge?.reserve(frame.length * DECODED_FACTOR);
      const { series, warning } = decodeExemplarsResponse(frame);
      if (warning !== '') warnings.add(warning);
      if (series !== undefined) found[index]!.push(series);
    },
    onWarning: (warning) => warnings.add(warning),
  });
  return { series: found.flat(), warnings: [...warnings] };
}

/** The selectors that concern an endpoint, as a query; '' if none does. */
function queryFor({ labelSets, takesExternalLabels }: ExemplarsEndpoint, selectors: ExemplarsQuestion['selectors']): string {
  return selectors
    .filter((matchers) => labelSetsMatch(labelSets, matchers))
    .map((matchers) => {
      const kept = matchers.filter(({ name }) => takesExternalLabels || !labelSets.some((labels) => hasLabel(labels, name)));
      return kept.length === 0 ? ANY : `{${kept.map(formatMatcher).join(',')}}`;
    })
    .join(' + ');
}
