/**
 * Only blocks whose external labels survive relabelling: `--selector.relabel-config`, the way to share a bucket out among several
 * gateways or compactors. Besides the external labels the rules see `__block_id`.
 */
import { labelsFromMap, createRelabelRule, relabel } from '@gauntlet/model';
import type { RelabelRule } from '@gauntlet/model';
import { decodeYaml, errorText, schema } from '@gauntlet/service-kit';

import { BlockError } from '../errors.ts';
import type { MetaFilter } from '../meta-filter.ts';

/** Label with the ULID of the block. */
export const BLOCK_ID_LABEL = '__block_id';
/** Actions that select; others are refused. */
const SELECTOR_ACTIONS = ['keep', 'drop', 'hashmod'];

const { int, list, object, optional, string, withDefault } = schema;
const rules = withDefault(list(object({
  source_labels: optional(list(string())),
  separator: optional(string()),
  regex: optional(string()),
  modulus: optional(int({ min: 0 })),
  target_label: optional(string()),
  replacement: optional(string()),
  action: optional(string()),
})), []);

/**
 * Reads a selector configuration.
 * @param source file or flag, for messages
 * @throws ConfigError with positions; BlockError ERR_SELECTOR for a rule that is wrong or cannot select
 */
export function parseSelector(text: string, source: string): readonly RelabelRule[] {
  return decodeYaml(text, rules, source).map((raw, i) => {
    try {
      const rule = createRelabelRule({
        sourceLabels: raw.source_labels, separator: raw.separator, regex: raw.regex, modulus: raw.modulus,
        targetLabel: raw.target_label, replacement: raw.replacement, action: raw.action,
      });
      if (!SELECTOR_ACTIONS.includes(rule.action)) throw new Error(`unsupported relabel action: ${rule.action}, a selector takes ${SELECTOR_ACTIONS.join(', ')}`);
      return rule;
    } catch (error) {
      throw new BlockError('ERR_SELECTOR', `${source}: rule ${i + 1}: ${errorText(error)}`, error);
    }
  });
}

/** @param ignoredLabels labels the rules do not see: replica labels of deduplication, so that all replicas land in one shard */
export function createLabelShardFilter(selector: readonly RelabelRule[], ignoredLabels: readonly string[] = []): MetaFilter {
  const ignored = new Set(ignoredLabels);
  return {
    apply: (metas, counts) => {
      for (const [id, meta] of metas) {
        const seen = new Map<string, string>([[BLOCK_ID_LABEL, id]]);
        const { labels } = meta.thanos;
        for (let i = 0; i < labels.length; i += 2) if (!ignored.has(labels[i]!)) seen.set(labels[i]!, labels[i + 1]!);
        const kept = relabel(labelsFromMap(seen), selector);
        if (kept !== undefined && kept.length > 0) continue;
        counts.add('label-excluded');
        metas.delete(id);
      }
      return Promise.resolve();
    },
  };
}
