/** Runs a tool as the command line does, over a bucket that is given, and keeps what it prints and logs. */
import type { Bucket } from '@gauntlet/objstore';
import { createLogger } from '@gauntlet/service-kit';
import { type RunToolDeps, runTool } from '../main.ts';

/** Outcome of a run. */
export interface ToolRun {
  readonly code: number;
  /** Standard output. */
  readonly out: string;
  /** Log lines without time, parsed as JSON. */
  readonly log: readonly Readonly<Record<string, unknown>>[];
}

/** Runs `tools <words>`; buckets are those given, by their order of opening. */
export async function runWith(buckets: readonly Bucket[], argv: readonly string[], more: RunToolDeps = {}): Promise<ToolRun> {
  let out = '';
  const lines: string[] = [];
  const log = createLogger({ format: 'json', level: 'debug', caller: false, sink: { write: (line) => lines.push(line), flush: () => {} } });
  let opened = 0;
  const objstore = buckets.length === 0 ? [] : ['--objstore.config=given', ...(buckets.length > 1 ? ['--objstore-backup.config=given'] : [])];
  const code = await runTool([...argv, ...objstore], {
    log,
    print: (text) => {
      out += text;
    },
    // Closing is the tool's; the test goes on with the bucket.
    openBucket: async () => ({ ...spread(buckets[opened++]!), close: async () => {} }),
    ...more,
  });
  return { code, out, log: lines.map((line) => JSON.parse(line) as Record<string, unknown>) };
}

/** The bucket's operations, bound. */
function spread(bucket: Bucket): Bucket {
  const bound: Record<string, unknown> = {};
  for (const name of ['iter', 'iterEntries', 'get', 'stream', 'getRange', 'getRangeInto', 'exists', 'attributes', 'upload', 'delete', 'supportsConditionalWrites', 'close'] as const) {
    bound[name] = (bucket[name] as (...args: never[]) => unknown).bind(bucket);
  }
  return { ...(bound as unknown as Bucket), name: bucket.name, provider: bucket.provider };
}
