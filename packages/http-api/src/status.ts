/** `/api/v1/status/…` of a Thanos component: version, process, flags. Source: Thanos pkg/api/api.go. */
import { type ApiAnswer, answerData } from './api-answer.ts';
import { type ApiParams, checkSelectors, parseLimit } from './api-params.ts';
import type { BuildInfoJson, FlagsJson, RuntimeInfoJson } from './types.ts';

/** `/status/buildinfo`. */
export function answerBuildInfo(info: BuildInfoJson): ApiAnswer {
  const { version, revision, branch, buildUser, buildDate, goVersion } = info;
  return answerData({ version, revision, branch, buildUser, buildDate, goVersion });
}

/** `/status/runtimeinfo`. */
export function answerRuntimeInfo(info: RuntimeInfoJson): ApiAnswer {
  const { startTime, CWD, goroutineCount, GOMAXPROCS, GOGC, GODEBUG, GOMEMLIMIT } = info;
  return answerData({ startTime, CWD, goroutineCount, GOMAXPROCS, GOGC, GODEBUG, GOMEMLIMIT });
}

/** `/status/flags`: every flag with its value in force, secrets already masked; keys in alphabetical order. */
export function answerFlags(flags: FlagsJson): ApiAnswer {
  return answerData(Object.fromEntries(Object.entries(flags).sort(([a], [b]) => (a < b ? -1 : 1))));
}

/** `/status/config`: the configuration as YAML, secrets already masked. Prometheus has it, Thanos' querier does not. */
export function answerConfig(yaml: string): ApiAnswer {
  return answerData({ yaml });
}

/** `/status/tsdb` of a querier whose stores report no statistics. @throws HttpApiError ERR_BAD_DATA */
export function answerEmptyTsdbStatus(params: ApiParams): ApiAnswer {
  parseLimit(params);
  checkSelectors(params.all('match[]'));
  return answerData({
    headStats: { numSeries: 0, numLabelPairs: 0, chunkCount: 0, minTime: 0, maxTime: 0 },
    seriesCountByMetricName: [],
    labelValueCountByLabelName: [],
    memoryInBytesByLabelName: [],
    seriesCountByLabelValuePair: [],
  });
}
