/** What the tests of other packages may use of tsdb: a file system in memory that can fail. */
export { createMemoryFileSystem, type MemoryFileSystem } from './memory-file-system.ts';
