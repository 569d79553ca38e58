/** The first word of the command line: help, version, a component, or an error that helps. */
import { BUILD_INFO, nearestName } from '@gauntlet/service-kit';
import { COMPONENTS, findComponent, type Main } from './components.ts';

export type Dispatch =
  | { readonly kind: 'run'; readonly load: () => Promise<Main>; readonly argv: readonly string[] }
  | { readonly kind: 'exit'; readonly exitCode: number; readonly stdout: string; readonly stderr: string };

const exit = (exitCode: number, stdout: string, stderr: string): Dispatch => ({ kind: 'exit', exitCode, stdout, stderr });

/** Text of `gauntlet --help`. */
export function helpText(): string {
  const rows = COMPONENTS.map(({ name, aliases, summary, load }) => `  ${[name, ...aliases].join(', ').padEnd(24)}${summary}${load === undefined ? ' (not in this version)' : ''}`);
  return `usage: gauntlet <component> [<flags> ...]\n\nThe Thanos components in TypeScript. Takes the command lines of the thanos binary.\n\nComponents:\n${rows.join('\n')}\n\n\`gauntlet <component> --help\` lists a component's flags.\n`;
}

/**
 * Decides what to do; runs nothing.
 * @param argv arguments without node and script
 */
export function dispatch(argv: readonly string[]): Dispatch {
  const [first, ...rest] = argv;
  if (first === undefined) return exit(1, '', helpText());
  if (first === '--help' || first === '-h' || first === 'help') return exit(0, helpText(), '');
  if (first === '--version' || first === 'version') return exit(0, `gauntlet, version ${BUILD_INFO.version} (node ${process.versions.node}, ${process.platform}/${process.arch})\n`, '');
  // kingpin takes flags before the command too: `thanos --log.level=debug query`.
  if (first.startsWith('-')) {
    const at = argv.findIndex((word) => findComponent(word) !== undefined);
    if (at > 0) return dispatch([argv[at]!, ...argv.slice(0, at), ...argv.slice(at + 1)]);
    return exit(1, '', `gauntlet: error: command not specified, try --help\n`);
  }
  const component = findComponent(first);
  if (component === undefined) {
    const near = nearestName(first, COMPONENTS.flatMap(({ name, aliases }) => [name, ...aliases]));
    return exit(1, '', `gauntlet: error: expected command but got "${first}"${near === undefined ? '' : `, did you mean "${near}"?`} (try --help)\n`);
  }
  if (component.load === undefined) {
    const here = COMPONENTS.filter(({ load }) => load !== undefined).map(({ name }) => name);
    return exit(1, '', `gauntlet: error: ${component.name} is not in this version; there are ${here.join(', ')}\n`);
  }
  return { kind: 'run', load: component.load, argv: rest };
}
