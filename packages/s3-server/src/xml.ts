/**
 * The little XML the S3 protocol needs: escaping for what the server writes, and a reader for the two request documents it
 * accepts (Delete, CompleteMultipartUpload). The reader knows elements and text only: no attributes of interest, no DTD, no
 * external entities, so there is nothing to expand.
 */

/** One element: its children in order, and the text directly inside it with entities resolved. */
export interface XmlElement {
  readonly name: string;
  readonly text: string;
  readonly children: readonly XmlElement[];
}

const NAMED: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };

/** Escapes text for element content; control characters become numeric references, as Amazon's listings have them. */
export function escapeXml(text: string): string {
  // eslint-disable-next-line no-control-regex
  return text.replace(/[&<>"'\u0000-\u001f\u007f]/g, (c) => {
    switch (c) {
      case '&': return '&amp;';
      case '<': return '&lt;';
      case '>': return '&gt;';
      case '"': return '&quot;';
      case "'": return '&apos;';
      default: return `&#x${c.charCodeAt(0).toString(16).toUpperCase()};`;
    }
  });
}

function unescapeXml(text: string): string {
  return text.replace(/&(#x[0-9a-fA-F]+|#[0-9]+|[a-z]+);/g, (whole, body: string) => {
    if (body.startsWith('#x')) return String.fromCodePoint(Number.parseInt(body.slice(2), 16));
    if (body.startsWith('#')) return String.fromCodePoint(Number.parseInt(body.slice(1), 10));
    return NAMED[body] ?? whole;
  });
}

/**
 * Parses a document into its root element.
 * @returns undefined if the text is not well-formed (tags unbalanced, no root, a DTD)
 */
export function parseXml(source: string): XmlElement | undefined {
  interface Open { name: string; text: string; children: XmlElement[] }
  const top: Open = { name: '', text: '', children: [] };
  const stack: Open[] = [top];
  const tag = /<([?!/]?)([A-Za-z_][\w:.-]*|--)([^>]*)>/g;
  let last = 0;
  for (let m = tag.exec(source); m !== null; m = tag.exec(source)) {
    const open = stack[stack.length - 1]!;
    open.text += unescapeXml(source.slice(last, m.index));
    last = tag.lastIndex;
    const [, mark, name, rest] = m;
    if (mark === '?') continue;
    if (mark === '!') return undefined;
    if (mark === '/') {
      if (stack.length === 1 || open.name !== name) return undefined;
      stack.pop();
      stack[stack.length - 1]!.children.push(open);
    } else if (rest!.endsWith('/')) {
      open.children.push({ name: name!, text: '', children: [] });
    } else {
      if (stack.length > 16) return undefined;
      stack.push({ name: name!, text: '', children: [] });
    }
  }
  if (stack.length !== 1 || top.children.length !== 1 || source.slice(last).trim() !== '') return undefined;
  return top.children[0];
}

/** Text of the first child of that name, or undefined. */
export function childText(element: XmlElement, name: string): string | undefined {
  return element.children.find((c) => c.name === name)?.text;
}
