/** Anchored regular expressions of label matchers. */
import { ModelError } from '../errors.ts';

export interface AnchoredPattern {
  matches(text: string): boolean;
  readonly setMatches?: readonly string[];
  readonly prefix?: string;
}

export function compileAnchored(pattern: string): AnchoredPattern {
  try {
    const regexp = new RegExp(`^(?:${pattern})$`, 's');
    return { matches: (text) => regexp.test(text) };
  } catch (error) {
    throw new ModelError('ERR_MATCHER_REGEX', `error parsing regexp: ${(error as Error).message}`, { cause: error });
  }
}
