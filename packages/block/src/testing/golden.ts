/** Where recorded data is: the small set in testdata/, and the large one if it is on this machine. */
import { existsSync, readdirSync } from 'node:fs';
import { join, resolve } from 'node:path';

/** The package's own recorded files. */
export const TESTDATA: string = resolve(import.meta.dirname, '../../testdata');
/** A block recorded from Prometheus and Thanos, below {@link TESTDATA}`/block`. */
export const GOLDEN_BLOCK = '01M7YH8PRB5EGPCY8YH5HQN37B';

/** The large recorded set, or undefined where there is none. */
export function goldenFolder(): string | undefined {
  const folder = join(process.env['GAUNTLET_SHARED'] ?? resolve(import.meta.dirname, '../../../../../shared'), 'golden');
  return existsSync(folder) ? folder : undefined;
}

/** All block directories of the large set: path and id. */
export function goldenBlocks(): { readonly path: string; readonly id: string }[] {
  const root = goldenFolder();
  const found: { path: string; id: string }[] = [];
  const walk = (path: string): void => {
    for (const dirent of readdirSync(path, { withFileTypes: true })) {
      if (!dirent.isDirectory()) continue;
      const inner = join(path, dirent.name);
      if (existsSync(join(inner, 'index'))) found.push({ path: inner, id: dirent.name });
      else walk(inner);
    }
  };
  if (root !== undefined) {
    walk(join(root, 'bucket'));
    walk(join(root, 'tsdb'));
  }
  return found;
}
