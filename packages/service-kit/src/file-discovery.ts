/**
 * Prometheus file discovery: files (or globs) with lists of targets, read again when they change.
 *
 *   - targets: [a:1, dns+b:2]     YAML or JSON
 *     labels: {zone: x}
 *
 * A file that cannot be read or parsed keeps its last good targets. Source: prometheus discovery/file, thanos.md 2.5 (`--store.sd-files`).
 */
import { readFileSync, readdirSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import * as schema from './config-schema.ts';
import { decodeYaml, type Schema } from './config-yaml.ts';
import { watchFiles } from './file-watch.ts';
import type { Logger } from './log.ts';

/** One group of a targets file. */
export interface TargetGroup {
  /** File the group is from. */
  readonly source: string;
  /** Addresses as written; DNS prefixes are not resolved here. */
  readonly targets: readonly string[];
  readonly labels: ReadonlyMap<string, string>;
}

/** Options of {@link createFileDiscovery}. */
export interface FileDiscoveryOptions {
  /** Paths; the last segment may hold `*` and `?`. */
  readonly files: readonly string[];
  /** Time between looks; default 5 s. */
  readonly intervalMs?: number;
  readonly log: Logger;
  /** Called with all groups, first before `createFileDiscovery` returns and then with every change. */
  readonly onTargets: (groups: readonly TargetGroup[]) => void;
}

/** See {@link createFileDiscovery}. */
export interface FileDiscovery {
  /** Groups as last read. */
  groups(): readonly TargetGroup[];
  /** Looks now. */
  check(): Promise<boolean>;
  /** Ends it. */
  stop(): void;
}

const groupsSchema: Schema<readonly { readonly targets: readonly string[]; readonly labels: ReadonlyMap<string, string> }[]> = schema.list(
  schema.object({ targets: schema.withDefault(schema.list(schema.string()), []), labels: schema.withDefault(schema.map(schema.string()), new Map<string, string>()) }),
);

/** Starts reading targets from files. */
export function createFileDiscovery(options: FileDiscoveryOptions): FileDiscovery {
  const known = new Map<string, readonly TargetGroup[]>();
  const paths = (): readonly string[] => options.files.flatMap(expandGlob);
  const read = (): void => {
    const present = new Set(paths());
    for (const path of known.keys()) if (!present.has(path)) known.delete(path);
    for (const path of present) {
      try {
        known.set(path, readTargets(path));
      } catch (error) {
        options.log.error('read targets file, keeping its last good targets', { file: path, err: error });
      }
    }
    options.onTargets(groups());
  };
  const groups = (): readonly TargetGroup[] => [...known.values()].flat();
  read();
  const watch = watchFiles({ paths, onChange: read, log: options.log, ...(options.intervalMs === undefined ? {} : { intervalMs: options.intervalMs }) });
  return { groups, check: () => watch.check(), stop: () => watch.stop() };
}

/** Reads one targets file. An empty file has no groups. @throws ConfigError */
export function readTargets(path: string): readonly TargetGroup[] {
  const text = readFileSync(path, 'utf8');
  if (text.trim() === '') return [];
  return decodeYaml(text, groupsSchema, path).map((group) => ({ source: path, ...group }));
}

/** Files a path with `*` and `?` in its last segment stands for, sorted; a plain path stands for itself. */
export function expandGlob(pattern: string): readonly string[] {
  const folder = dirname(pattern);
  const last = basename(pattern);
  if (!/[*?]/.test(last)) return [pattern];
  const matches = new RegExp(`^${last.replace(/[.+^${}()|[\]\\]/g, '\\$&').replaceAll('*', '[^/]*').replaceAll('?', '[^/]')}$`);
  try {
    return readdirSync(folder)
      .filter((name) => matches.test(name))
      .sort()
      .map((name) => join(folder, name));
  } catch {
    return [];
  }
}
