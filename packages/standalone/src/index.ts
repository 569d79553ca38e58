/** The seam of standalone. README.md has the reading order. */
export { StandaloneError, type StandaloneErrorCode } from './errors.ts';
export { type StandaloneConfig, type StandaloneFlags, standaloneFlags } from './flags.ts';
export { main } from './main.ts';
