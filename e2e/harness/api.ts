/** The Prometheus HTTP API as a test reads it: ours and Prometheus' own, side by side. */

/** A series of an answer: `value` of a vector, `values` of a matrix. */
export interface ApiSeries {
  readonly metric: Readonly<Record<string, string>>;
  readonly value?: readonly [number, string];
  readonly values?: readonly (readonly [number, string])[];
}

export interface ApiAnswer<T> {
  readonly httpStatus: number;
  readonly status: 'success' | 'error';
  readonly errorType?: string;
  readonly error?: string;
  readonly warnings?: readonly string[];
  readonly data: T;
}

export interface QueryResult {
  readonly resultType: string;
  readonly result: readonly ApiSeries[];
}

type Parameters = Readonly<Record<string, string | number | readonly string[]>>;

/** Any endpoint below /api/v1. */
export async function getApi<T>(baseUrl: string, path: string, parameters: Parameters = {}): Promise<ApiAnswer<T>> {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) for (const one of Array.isArray(value) ? (value as readonly string[]) : [String(value)]) search.append(name, one);
  const response = await fetch(`${baseUrl}/api/v1/${path}?${search}`);
  const text = await response.text();
  try {
    return { ...(JSON.parse(text) as Omit<ApiAnswer<T>, 'httpStatus'>), httpStatus: response.status };
  } catch {
    throw new Error(`GET /api/v1/${path}: HTTP ${response.status} with no JSON: ${text.slice(0, 500)}`);
  }
}

/** An instant query at `timeS`. @throws with the answer's error */
export async function instant(baseUrl: string, query: string, timeS: number, parameters: Parameters = {}): Promise<readonly ApiSeries[]> {
  const { result } = await instantAnswer(baseUrl, query, timeS, parameters);
  return result;
}

/** As `instant`, with the warnings. */
export async function instantAnswer(baseUrl: string, query: string, timeS: number, parameters: Parameters = {}): Promise<{ readonly result: readonly ApiSeries[]; readonly warnings: readonly string[] }> {
  const answer = await getApi<QueryResult>(baseUrl, 'query', { query, time: timeS, ...parameters });
  if (answer.status !== 'success') throw new Error(`${query}: HTTP ${answer.httpStatus} ${answer.errorType ?? ''}: ${answer.error ?? ''}`);
  return { result: answer.data.result, warnings: answer.warnings ?? [] };
}

/** Labels as one comparable text, some left out. */
export function labelsKey(metric: Readonly<Record<string, string>>, without: readonly string[] = []): string {
  return JSON.stringify(
    Object.entries(metric)
      .filter(([name]) => !without.includes(name))
      .sort(([a], [b]) => (a < b ? -1 : 1)),
  );
}
