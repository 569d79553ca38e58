/**
 * Runs in a browser: opens a block from fetched bytes and evaluates queries over it, with the packages as they were built and nothing else. `window.run`
 * answers with texts, so that what is not JSON (NaN, −0) survives the way.
 */
import { createKernels } from '@gauntlet/kernels';
import { createEngine } from '@gauntlet/promql';
import { createBlockQueryable, openBlock } from '@gauntlet/tsdb';

const notFound = (path) => Object.assign(new Error(`no ${path}`), { code: 'ENOENT' });

/** Fetched files as the file system that tsdb reads through. */
function fetchedFiles(files) {
  return {
    open(path) {
      const bytes = files.get(path);
      if (bytes === undefined) throw notFound(path);
      return {
        path,
        read(target, offset) {
          const part = bytes.subarray(offset, offset + target.length);
          target.set(part);
          return part.length;
        },
        size: () => bytes.length,
        close: () => undefined,
      };
    },
    list(path) {
      const names = new Set([...files.keys()].filter((name) => name.startsWith(`${path}/`)).map((name) => name.slice(path.length + 1).split('/')[0]));
      if (names.size === 0) throw notFound(path);
      return [...names].sort((a, b) => (a < b ? -1 : 1));
    },
    stat(path) {
      const bytes = files.get(path);
      if (bytes !== undefined) return { kind: 'file', bytes: bytes.length, modifiedMs: 0 };
      return [...files.keys()].some((name) => name.startsWith(`${path}/`)) ? { kind: 'directory', bytes: 0, modifiedMs: 0 } : undefined;
    },
  };
}

/** Evaluates range queries over a block with given kernels: for each one text per series. */
globalThis.run = async ({ paths, dir, backend, queries, startMs, endMs, stepMs }) => {
  const files = new Map();
  for (const path of paths) files.set(path, new Uint8Array(await (await fetch(`/${path}`)).arrayBuffer()));
  const kernels = createKernels({ backend });
  const block = openBlock(fetchedFiles(files), dir);
  const engine = createEngine({ kernels, delayedNameRemoval: true });
  const answers = [];
  for (const expr of queries) {
    const result = await engine.range({ expr, queryable: createBlockQueryable([block], kernels), startMs, endMs, stepMs });
    const { labels, offsets, timestampsMs, values } = result;
    answers.push(labels.map((one, i) => `${one.join(' ')} ${Array.from(timestampsMs.subarray(offsets[i], offsets[i + 1]), (t, k) => `${t}:${Object.is(values[offsets[i] + k], -0) ? '-0' : values[offsets[i] + k]}`).join(' ')}`));
    result.dispose();
  }
  return { backend: kernels.backend, answers };
};
