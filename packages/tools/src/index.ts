/** The seam of tools. README.md has the reading order. */
export { ToolsError, type ToolsErrorCode } from './errors.ts';
export { main, runTool, type RunToolDeps, TOOLS } from './main.ts';
export type { ParsedTool, Tool, ToolDeps } from './tool.ts';
