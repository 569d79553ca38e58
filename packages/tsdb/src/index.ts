/** The seam of tsdb: everything other packages may use. README.md has the reading order. */
export type { FileHandle, FileLock, FileStat, FileSystem, OpenMode } from './file-system.ts';
export { baseName, dirName, joinPath, readFile, replaceFile } from './file-system.ts';
