/**
 * From a place in the text of a YAML scalar to its place in the file, so that a query's parse error points at the character in the rule file.
 *
 *   expr: "sum(up\")"     quotes and escapes are stepped over
 *   expr: |               block text: header line and indentation are stepped over; folding (>) turns a line break into one space
 *     sum(up)
 *
 * Where the two texts cannot be walked side by side (several line breaks folded into fewer), the place is the scalar's beginning.
 */
import type { YamlNode } from '@gauntlet/service-kit';
import { isScalar } from 'yaml';

/**
 * @param fileText the whole file
 * @param scalar a scalar of it
 * @param value text of the scalar
 * @param index place in `value`, UTF-16 units
 * @returns offset in `fileText`, UTF-16 units
 */
export function offsetInFile(fileText: string, scalar: YamlNode, value: string, index: number): number {
  const type = isScalar(scalar.node) ? scalar.node.type : undefined;
  // Text behind an alias stands where its anchor is.
  const start = scalar.node?.range?.[0] ?? scalar.offset;
  const isBlock = type === 'BLOCK_LITERAL' || type === 'BLOCK_FOLDED';
  const quote = type === 'QUOTE_DOUBLE' ? '"' : type === 'QUOTE_SINGLE' ? "'" : undefined;
  const headerEnd = fileText.indexOf('\n', start) + 1;
  if (isBlock && headerEnd === 0) return start;
  const indent = isBlock ? (/^(?: *\n)*( *)/.exec(fileText.slice(headerEnd))?.[1]?.length ?? 0) : undefined;
  let at = isBlock ? skipIndent(fileText, headerEnd, indent) : quote === undefined ? start : start + 1;
  for (let i = 0; i < index && i < value.length; i++) {
    const char = fileText[at];
    if (char === value[i] && char !== '\n' && !(quote === '"' && char === '\\') && !(quote === "'" && char === "'")) at++;
    else if (quote === "'" && fileText.startsWith("''", at) && value[i] === "'") at += 2;
    else if (quote === '"' && char === '\\') at += escapeLength(fileText, at);
    else if ((char === '\n' || char === '\r') && (value[i] === '\n' || value[i] === ' ')) at = skipIndent(fileText, at + (fileText.startsWith('\r\n', at) ? 2 : 1), indent);
    else return start;
  }
  return at;
}

/** Line and column of an offset, both from 1; columns count UTF-16 units. */
export function lineAndColumn(fileText: string, offset: number): { readonly line: number; readonly column: number } {
  let line = 1;
  let lineStart = 0;
  for (let i = fileText.indexOf('\n'); i !== -1 && i < offset; i = fileText.indexOf('\n', i + 1)) {
    line++;
    lineStart = i + 1;
  }
  return { line, column: offset - lineStart + 1 };
}

/** Length of an escape of YAML's double-quoted style. */
function escapeLength(text: string, at: number): number {
  const kind = text[at + 1];
  return kind === 'x' ? 4 : kind === 'u' ? 6 : kind === 'U' ? 10 : 2;
}

/** Over the indentation of a line: of blocks exactly theirs, of flow text all of it. */
function skipIndent(text: string, at: number, indent: number | undefined): number {
  let end = at;
  while (text[end] === ' ' && (indent === undefined || end - at < indent)) end++;
  return end;
}
