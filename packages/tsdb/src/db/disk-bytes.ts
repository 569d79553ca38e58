/** How much a file or a folder with all it holds takes. */
import { type FileSystem, joinPath } from '../file-system.ts';

/** Bytes of all files at or below a path; 0 when there is nothing. */
export function diskBytes(fs: FileSystem, path: string): number {
  const stat = fs.stat(path);
  if (stat === undefined) return 0;
  if (stat.kind === 'file') return stat.bytes;
  let bytes = 0;
  for (const name of fs.list(path)) bytes += diskBytes(fs, joinPath(path, name));
  return bytes;
}
