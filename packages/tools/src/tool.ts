/** What a tool is: words, flags, and something to run with what it is given. Tools print results to standard output and log the rest. */
import type { Bucket } from '@gauntlet/objstore';
import { type Command, commonFlags, type CommonFlags, type FlagOutcome, type FlagTable, type FlagValues, type Logger, type Metrics, parseFlags, type PathOrContent } from '@gauntlet/service-kit';
import type { QueryJob } from './promql-evaluate.ts';
import type { TsdbJob } from './tsdb-job.ts';

/** What a tool runs with. */
export interface ToolDeps {
  /** Prints to standard output. */
  readonly print: (text: string) => void;
  /** Prints to standard error what is meant for people rather than for a log. */
  readonly printError: (text: string) => void;
  /** Resolves when standard output has taken what was printed. */
  readonly printed: () => Promise<void>;
  /** Width of the terminal that standard error is, for progress; undefined when it is none. */
  readonly progressColumns: number | undefined;
  /** All of standard input. */
  readonly readInput: () => Promise<string>;
  readonly log: Logger;
  readonly metrics: Metrics;
  /** Unix ms. */
  readonly clock: () => number;
  /** In [0, 1), for new block ids. */
  readonly random: () => number;
  /** The user wants it to end. */
  readonly signal: AbortSignal;
  /** Folder for temporary folders. */
  readonly tmpDir: string;
  /** Opens the bucket of an `--objstore….config`; the caller closes it. */
  readonly openBucket: (config: PathOrContent, metrics?: Metrics) => Promise<Bucket>;
  /** Evaluates a query over blocks and prints the answer. */
  readonly evaluateQuery: (job: QueryJob, deps: Pick<ToolDeps, 'log' | 'metrics' | 'clock' | 'signal' | 'print'>) => Promise<void>;
  /** Does a job on a local database and prints what comes of it. */
  readonly runTsdbJob: (job: TsdbJob, deps: Pick<ToolDeps, 'log' | 'print' | 'printError' | 'printed' | 'progressColumns' | 'signal' | 'clock'>) => Promise<void>;
}

/** A tool without the types of its flags. */
export interface Tool {
  /** Words behind `gauntlet tools`, such as bucket, ls. */
  readonly words: readonly string[];
  readonly help: string;
  readonly flags: FlagTable;
  /** Reads the flags. Exits are for `--help` and wrong flags. */
  parse(argv: readonly string[], command: Pick<Command<FlagTable>, 'program' | 'version'>): ParsedTool;
}

/** What a command line means to a tool. */
export type ParsedTool =
  | Extract<FlagOutcome<FlagTable>, { kind: 'exit' }>
  | {
      readonly kind: 'run';
      readonly common: FlagValues<{ readonly [Name in keyof CommonFlags]: CommonFlags[Name] }>;
      /** Sentences to be logged. */
      readonly warnings: readonly string[];
      /** @throws ToolsError and the errors of what it uses: exit code 1 */
      run(deps: ToolDeps): Promise<void>;
    };

/** Ties flags to what runs with their values. Flags all components have come first. */
export function defineTool<T extends FlagTable>(tool: {
  readonly words: readonly string[];
  readonly help: string;
  readonly flags: T;
  /** Words behind the flags; without it none are taken. */
  readonly arguments?: NonNullable<Command<FlagTable>['arguments']>;
  readonly run: (values: FlagValues<T>, deps: ToolDeps, words: readonly string[]) => Promise<void>;
}): Tool {
  const flags: FlagTable = { ...commonFlags, ...tool.flags };
  return {
    words: tool.words,
    help: tool.help,
    flags,
    parse(argv, command) {
      const outcome = parseFlags({ ...command, name: `tools ${tool.words.join(' ')}`, help: tool.help, flags, ...(tool.arguments === undefined ? {} : { arguments: tool.arguments }) }, argv);
      if (outcome.kind === 'exit') return outcome;
      const values = outcome.values as FlagValues<T> & FlagValues<{ readonly [Name in keyof CommonFlags]: CommonFlags[Name] }>;
      return { kind: 'run', common: values, warnings: outcome.warnings, run: (deps) => tool.run(values, deps, outcome.arguments) };
    },
  };
}
