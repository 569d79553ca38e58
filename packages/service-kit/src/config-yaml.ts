/**
 * Strict reading of YAML configuration against a schema (config-schema.ts).
 *
 *   text ─ yaml parser ─► nodes with offsets ─ schema.decode ─► typed value
 *                                    └ anything unexpected ─► `file:line:column: message`, all of them in one ConfigError
 *
 * JSON is read too, being YAML. Scalars are typed by the schema from their source text, as Go's yaml does for struct fields: `port: 08` is a string where
 * a string is wanted. Aliases and merge keys (`<<`) work; what they expand to is counted, so that a few lines cannot become gigabytes.
 */
import { LineCounter, type Document, type Node, isAlias, isMap, isScalar, isSeq, parseDocument, visit } from 'yaml';
import { ServiceKitError, errorText } from './errors.ts';

/** Nodes one document may expand to; aliases count each time. */
export const YAML_NODES_MAX = 1_000_000;
/** Depth of nesting, aliases expanded. */
export const YAML_DEPTH_MAX = 200;
/** Problems named in one error. */
const ISSUES_MAX = 20;

/** One problem and where it is. Lines and columns count from 1. */
export interface ConfigIssue {
  readonly line: number;
  readonly column: number;
  /** Path of keys such as `config.tls_config.ca_file` or `endpoints[2]`; empty at the top. */
  readonly path: string;
  readonly message: string;
}

/** All problems of one configuration text. The message is one line per problem, `source:line:column: message`. */
export class ConfigError extends ServiceKitError {
  override readonly name: string = 'ConfigError';
  /** File name, or flag name for inline content. */
  readonly source: string;
  readonly issues: readonly ConfigIssue[];

  constructor(source: string, issues: readonly ConfigIssue[]) {
    const shown = issues.slice(0, ISSUES_MAX).map((issue) => `${source}:${issue.line}:${issue.column}: ${issue.message}`);
    if (issues.length > ISSUES_MAX) shown.push(`${source}: ${issues.length - ISSUES_MAX} more problems`);
    super('ERR_CONFIG', shown.join('\n'));
    this.source = source;
    this.issues = issues;
  }
}

/** Something that turns nodes into a typed value; see config-schema.ts for the ready ones. */
export interface Schema<T> {
  /** What is wanted, for messages: `string`, `list of duration`. */
  readonly wants: string;
  /** Reads a node that is present and not null. Reports problems to the reader and returns undefined then. */
  decode(node: YamlNode, reader: ConfigReader): T | undefined;
  /** Value for an absent or null node; reports when there must be one. */
  absent(at: YamlNode, reader: ConfigReader, key: string): T | undefined;
}

/** A node of the parsed text, aliases resolved. */
export interface YamlNode {
  readonly kind: 'map' | 'list' | 'scalar' | 'null';
  /** Path from the top. */
  readonly path: string;
  /** Offset of its first character. */
  readonly offset: number;
  readonly depth: number;
  /** The parser's node, alias resolved. */
  readonly node: Node | null;
}

/**
 * Reads a YAML (or JSON) text.
 * @param source file path, or flag name such as `--objstore.config`, for messages
 * @throws ConfigError with every problem found
 */
export function decodeYaml<T>(text: string, schema: Schema<T>, source: string): T {
  const reader = new ConfigReader(text, source);
  return reader.read(schema);
}

/** One reading of one text: nodes, positions and the problems found so far. */
export class ConfigReader {
  readonly source: string;
  readonly #document: Document.Parsed;
  readonly #lines = new LineCounter();
  readonly #issues: ConfigIssue[] = [];
  readonly #anchors = new Map<Node, Node>();
  #nodesLeft: number = YAML_NODES_MAX;

  constructor(text: string, source: string) {
    this.source = source;
    try {
      this.#document = parseDocument(text, { lineCounter: this.#lines, uniqueKeys: true, keepSourceTokens: false, prettyErrors: false, merge: false, schema: 'core', logLevel: 'error' });
    } catch (error) {
      throw new ConfigError(source, [{ line: 1, column: 1, path: '', message: `read YAML: ${error instanceof RangeError ? 'nested too deeply' : errorText(error)}` }]);
    }
    for (const error of this.#document.errors) {
      const text = error.code === 'MULTIPLE_DOCS' ? 'wanted one document, got more' : error.message.split('\n')[0]!;
      this.#add(error.pos[0], '', `read YAML: ${text}`);
    }
    if (this.#issues.length === 0) this.#resolveAliases();
    this.#throwIssues();
  }

  /** Reads the whole document. @throws ConfigError */
  read<T>(schema: Schema<T>): T {
    const top = this.#wrap(this.#document.contents, '', 0, 0);
    return this.finish(() => (top.kind === 'null' ? schema.absent(top, this, '') : schema.decode(top, this)));
  }

  /** Runs a decoder and throws what it reported. @throws ConfigError */
  finish<T>(decode: () => T | undefined): T {
    const value = decode();
    this.#throwIssues();
    return value as T;
  }

  /** Notes a problem at a node; reading goes on. */
  report(at: YamlNode, message: string): undefined {
    this.#add(at.offset, at.path, message);
    return undefined;
  }

  /** Entries of a map in order, merge keys expanded (own keys win). Keys are texts. */
  entries(map: YamlNode): readonly { readonly key: string; readonly keyNode: YamlNode; readonly value: YamlNode }[] {
    const found = new Map<string, { key: string; keyNode: YamlNode; value: YamlNode }>();
    this.#collect(map, map, found, false);
    return [...found.values()];
  }

  /** Items of a list in order. */
  items(list: YamlNode): readonly YamlNode[] {
    if (!isSeq(list.node)) return [];
    return list.node.items.map((item, i) => this.#wrap(item as Node | null, `${list.path}[${i}]`, list.offset, list.depth + 1));
  }

  /** Text of a scalar as written, quotes and escapes resolved. */
  text(scalar: YamlNode): string {
    if (!isScalar(scalar.node)) return '';
    const { value, source, type } = scalar.node;
    if (type === 'PLAIN' && source !== undefined) return source;
    return typeof value === 'string' ? value : (source ?? String(value));
  }

  /** Whether a scalar was written without quotes. */
  isPlain(scalar: YamlNode): boolean {
    return isScalar(scalar.node) && scalar.node.type === 'PLAIN';
  }

  #collect(map: YamlNode, under: YamlNode, found: Map<string, { key: string; keyNode: YamlNode; value: YamlNode }>, merged: boolean): void {
    if (!isMap(map.node)) return;
    const merges: YamlNode[] = [];
    for (const pair of map.node.items) {
      const keyNode = this.#wrap(pair.key as Node | null, under.path, map.offset, map.depth + 1);
      if (keyNode.kind !== 'scalar') {
        this.report(keyNode, `${under.path === '' ? 'map' : under.path}: key must be text, got ${describeNode(keyNode)}`);
        continue;
      }
      const key = this.text(keyNode);
      const value = this.#wrap(pair.value as Node | null, joinPath(under.path, key), keyNode.offset, map.depth + 1);
      if (key === '<<' && this.isPlain(keyNode)) {
        if (value.kind === 'list') merges.push(...this.items(value));
        else merges.push(value);
      } else if (!found.has(key)) {
        found.set(key, { key, keyNode, value });
      } else if (!merged) {
        this.report(keyNode, `duplicate key '${key}'`);
      }
    }
    for (const merge of merges) {
      if (merge.kind === 'map') this.#collect(merge, under, found, true);
      else this.report(merge, `${joinPath(under.path, '<<')}: wanted a map to merge, got ${describeNode(merge)}`);
    }
  }

  /** An alias means the latest anchor of that name before it; asking the parser for each alone would read the document again every time. */
  #resolveAliases(): void {
    const named = new Map<string, Node>();
    visit(this.#document, {
      Node: (_key, node) => {
        if (isAlias(node)) {
          const target = named.get(node.source);
          if (target === undefined) this.#add(node.range?.[0] ?? 0, '', `read YAML: unknown alias '*${node.source}'`);
          else this.#anchors.set(node, target);
        } else if ('anchor' in node && typeof node.anchor === 'string') {
          named.set(node.anchor, node);
        }
      },
    });
  }

  #wrap(node: Node | null | undefined, path: string, parentOffset: number, depth: number): YamlNode {
    const offset = node?.range?.[0] ?? parentOffset;
    if (--this.#nodesLeft < 0) this.#abort(offset, path, `document expands to more than ${YAML_NODES_MAX} nodes (aliases are counted each time)`);
    if (depth > YAML_DEPTH_MAX) this.#abort(offset, path, `nested more than ${YAML_DEPTH_MAX} deep`);
    let target: Node | null = node ?? null;
    while (target !== null && isAlias(target)) target = this.#anchors.get(target) ?? null;
    const isNull = target === null || (isScalar(target) && target.value === null && target.type !== 'QUOTE_DOUBLE' && target.type !== 'QUOTE_SINGLE');
    const kind = isNull ? 'null' : isMap(target) ? 'map' : isSeq(target) ? 'list' : 'scalar';
    return { kind, path, offset, depth, node: target };
  }

  #add(offset: number, path: string, message: string): void {
    const { line, col } = this.#lines.linePos(offset);
    this.#issues.push({ line: Math.max(1, line), column: Math.max(1, col), path, message });
  }

  #abort(offset: number, path: string, message: string): never {
    this.#add(offset, path, message);
    return this.#throwIssues() as never;
  }

  #throwIssues(): void {
    if (this.#issues.length > 0) throw new ConfigError(this.source, this.#issues.splice(0));
  }
}

/** Path of a key below another path. */
export function joinPath(path: string, key: string): string {
  const shown = /^[\w.\-/<]+$/.test(key) ? key : JSON.stringify(key);
  return path === '' ? shown : `${path}.${shown}`;
}

/** What a node is, for messages; never its content. */
export function describeNode(node: YamlNode): string {
  if (node.kind === 'scalar') return 'a scalar';
  return node.kind === 'null' ? 'nothing' : `a ${node.kind}`;
}
