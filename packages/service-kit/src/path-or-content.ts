/**
 * Configuration given as a file (`--x-file=path`) or inline (`--x=content`), with `$(NAME)` replaced from the environment.
 * The file is read each time it is asked for, so that a reload sees what it holds now.
 * Source: efficientgo/tools extkingpin `PathOrContent`, thanos.md 2.1.
 */
import { readFileSync } from 'node:fs';
import { ServiceKitError, errorText } from './errors.ts';

/** The value of a path-or-content flag. */
export class PathOrContent {
  /** Flag name without `-file`. */
  readonly flagName: string;
  /** File path, or undefined when inline or absent. */
  readonly path: string | undefined;
  readonly #content: string | undefined;
  readonly #required: boolean;
  readonly #envSubstitution: boolean;

  constructor(
    flagName: string,
    given: { readonly path?: string | undefined; readonly content?: string | undefined; readonly required?: boolean; readonly envSubstitution?: boolean },
  ) {
    this.flagName = flagName;
    this.path = given.path === '' ? undefined : given.path;
    this.#content = given.content === '' ? undefined : given.content;
    this.#required = given.required ?? false;
    this.#envSubstitution = given.envSubstitution ?? true;
  }

  /** Whether anything was given. */
  get isSet(): boolean {
    return this.path !== undefined || this.#content !== undefined;
  }

  /** What messages about the content call it: the file's path, or the flag. */
  get source(): string {
    return this.path ?? `--${this.flagName}`;
  }

  /**
   * The text now; empty when nothing was given.
   * @param environment where `$(NAME)` is looked up
   * @throws ServiceKitError ERR_FILE_READ when the file cannot be read, ERR_FLAG when required and empty, ERR_CONFIG for an unset variable
   */
  content(environment: Readonly<Record<string, string | undefined>> = process.env): string {
    let text = this.#content ?? '';
    if (this.path !== undefined) {
      try {
        text = readFileSync(this.path, 'utf8');
      } catch (error) {
        throw new ServiceKitError('ERR_FILE_READ', `load file ${this.path} for --${this.flagName}: ${errorText(error)}`, error);
      }
    }
    if (this.#required && text.trim() === '') {
      throw new ServiceKitError('ERR_FLAG', `flag --${this.flagName}-file or --${this.flagName} is required for running this command and content cannot be empty`);
    }
    return this.#envSubstitution ? substituteEnvironment(text, environment, this.source) : text;
  }
}

/**
 * Replaces `$(NAME)` by environment variables.
 * @throws ServiceKitError ERR_CONFIG naming a variable that is not set, with its line
 */
export function substituteEnvironment(text: string, environment: Readonly<Record<string, string | undefined>>, source: string): string {
  return text.replace(/\$\(([a-zA-Z_0-9]+)\)/g, (_whole, name: string, offset: number) => {
    const value = Object.hasOwn(environment, name) ? environment[name] : undefined;
    if (value === undefined) {
      const before = text.slice(0, offset).split('\n');
      throw new ServiceKitError('ERR_CONFIG', `${source}:${before.length}:${before.at(-1)!.length + 1}: found reference to unset environment variable "${name}"`);
    }
    return value;
  });
}
