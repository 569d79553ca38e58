/**
 * Exemplars of all endpoints that have them, as the answer of the HTTP API; runs in a query worker.
 *
 *   parameters ─► fanOutExemplars (storeapi) ─► series, warnings ─► replicas united, JSON (http-api)
 */
import { answerExemplars, type ApiAnswer, type ApiParams, HttpApiError, parseExemplarsCall } from '@gauntlet/http-api/worker';
import { hasLabel, type Labels, type Matcher } from '@gauntlet/model';
import type { ParserOptions } from '@gauntlet/promql';
import { createExemplarsClient, type ExemplarsEndpoint, fanOutExemplars, type GrpcStoreClient, labelSetsMatch, type RulesFanOutOptions, StoreError } from '@gauntlet/storeapi';
import type { EndpointSnapshot } from './endpoint-set.ts';
import type { EndpointTarget } from './store-clients.ts';

/** How the API answers. */
export interface ExemplarsDefaults {
  readonly replicaLabels: readonly string[];
  /** `--exemplar.partial-response`. */
  readonly partialResponse: boolean;
  /** `--selector-label`: of this querier itself. */
  readonly selectorLabels: Labels;
  readonly parser: ParserOptions;
}

/** Endpoints to ask. One that is known to be down is not called: it fails with what its last check said. */
export function exemplarsEndpoints(snapshots: readonly EndpointSnapshot[], clientOf: (target: EndpointTarget) => GrpcStoreClient): ExemplarsEndpoint[] {
  return snapshots.map(({ target, info, unavailable }) => ({
    address: target.address,
    labelSets: info.labelSets,
    takesExternalLabels: info.storeType === 'query',
    exemplars(request, options) {
      if (unavailable !== undefined) throw new StoreError('ERR_STORE_UNAVAILABLE', unavailable);
      return createExemplarsClient(clientOf(target)).exemplars(request, options);
    },
  }));
}

/** `/api/v1/query_exemplars`. @throws HttpApiError, the signal's reason, what the charge throws */
export async function answerExemplarsOf(endpoints: readonly ExemplarsEndpoint[], params: ApiParams, defaults: ExemplarsDefaults, options: RulesFanOutOptions): Promise<ApiAnswer> {
  const { selectors, startMs, endMs } = parseExemplarsCall(params, defaults.parser);
  const own = selectors.filter((matchers) => labelSetsMatch([defaults.selectorLabels], matchers)).map((matchers) => withoutOwn(matchers, defaults.selectorLabels));
  try {
    const { series, warnings } = await fanOutExemplars(endpoints, { selectors: own, startMs, endMs, partialResponse: defaults.partialResponse }, options);
    return answerExemplars(series, defaults.replicaLabels, warnings);
  } catch (error) {
    if (error instanceof StoreError) throw new HttpApiError('ERR_INTERNAL', `retrieving exemplars: proxy Exemplars: ${error.message}`, { cause: error });
    throw error;
  }
}

/** Matchers on labels that this querier stands for have been decided. */
function withoutOwn(matchers: readonly Matcher[], labels: Labels): readonly Matcher[] {
  return matchers.filter(({ name }) => !hasLabel(labels, name));
}
