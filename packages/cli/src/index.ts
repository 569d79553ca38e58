/** The seam of cli. README.md has the reading order. */
export { COMPONENTS, findComponent, type Component, type Main } from './components.ts';
export { dispatch, helpText, type Dispatch } from './command-line.ts';
