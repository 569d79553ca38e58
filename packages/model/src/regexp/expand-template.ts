/**
 * Replacement texts with references to groups, as Go's Regexp.Expand reads them.
 *
 *   $1 ${1} $name ${name} $$   the longest run of letters, digits and _ is the name: $1x is the group "1x", ${1}x is group 1 and an x
 *
 * A group that does not exist or took no part gives ''. A `$` that starts no reference stands for itself.
 * Source: Go regexp, "Expand".
 */

/** A compiled replacement. */
export interface Template {
  /** As given. */
  readonly text: string;
  /** Whether it has no reference at all. */
  readonly isLiteral: boolean;
  /** The replacement for one match: `slots` are the starts and ends of groups in `source`. */
  expand(source: string, slots: Int32Array): string;
}

const REFERENCE = /\$(?:(\$)|\{([\p{L}\p{Nd}_]+)\}|([\p{L}\p{Nd}_]+))/gu;

/** Compiles a replacement against the names of the groups by index. */
export function compileTemplate(text: string, groupNames: readonly string[]): Template {
  /** Literal texts, and between each two the indexes of the groups of which the first that took part is put in. */
  const literals: string[] = [''];
  const references: (readonly number[])[] = [];
  let at = 0;
  for (const found of text.matchAll(REFERENCE)) {
    literals[literals.length - 1] += text.slice(at, found.index);
    at = found.index + found[0].length;
    if (found[1] !== undefined) literals[literals.length - 1] += '$';
    else {
      references.push(groupsCalled((found[2] ?? found[3])!, groupNames));
      literals.push('');
    }
  }
  literals[literals.length - 1] += text.slice(at);
  return {
    text,
    isLiteral: references.length === 0,
    expand(source, slots) {
      let expanded = literals[0]!;
      for (let i = 0; i < references.length; i++) {
        for (const group of references[i]!) {
          if (slots[2 * group]! < 0) continue;
          expanded += source.slice(slots[2 * group], slots[2 * group + 1]);
          break;
        }
        expanded += literals[i + 1]!;
      }
      return expanded;
    },
  };
}

function groupsCalled(name: string, groupNames: readonly string[]): number[] {
  if (/^(?:0|[1-9][0-9]{0,7})$/.test(name)) return Number(name) < groupNames.length ? [Number(name)] : [];
  return groupNames.flatMap((other, index) => (other === name ? [index] : []));
}
