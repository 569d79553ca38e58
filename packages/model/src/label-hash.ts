/**
 * Hashes of labels that must equal those of other processes, all xxHash64 with seed 0:
 *
 *   stable   name 0xFF value 0xFF name 0xFF …            sharding (Thanos shard_info, Prometheus StableHash), hash rings
 *   packed   length name length value length name …      Prometheus' Labels.Hash as built by default; limit_ratio shows it to users
 *            length = one byte below 255, else 0xFF and three bytes, little-endian
 *
 * Source: Prometheus model/labels/{sharding,labels_stringlabels}.go, Thanos pkg/store/storepb/shard_info.go.
 */
import { utf8EncodeInto, utf8Length, type Words64, xxhash64 } from '@gauntlet/bytes';
import { METRIC_NAME, type Labels } from './labels.ts';

const SEPARATOR = 0xff;

/** Hash of all labels, 0xFF-separated. */
export function stableHashLabels(labels: Labels): Words64 {
  return hashSelected(labels, () => true);
}

/** Stable hash of the named labels only, as sharding "by" does. */
export function hashForLabels(labels: Labels, names: ReadonlySet<string>): Words64 {
  return hashSelected(labels, (name) => names.has(name));
}

/**
 * Stable hash of all but the named labels, as sharding "without" does.
 * @param dropMetricName also leaves out `__name__`: true for Prometheus' HashWithoutLabels, false for Thanos' shard hash
 */
export function hashWithoutLabels(labels: Labels, names: ReadonlySet<string>, dropMetricName: boolean): Words64 {
  return hashSelected(labels, (name) => !names.has(name) && !(dropMetricName && name === METRIC_NAME));
}

/** Hash as Prometheus' Labels.Hash (packed form). */
export function hashLabels(labels: Labels): Words64 {
  let bytes = 0;
  for (const text of labels) {
    const length = utf8Length(text);
    bytes += length + (length < 255 ? 1 : 4);
  }
  const buffer = new Uint8Array(bytes);
  let at = 0;
  for (const text of labels) {
    const length = utf8Length(text);
    if (length < 255) buffer[at++] = length;
    else {
      buffer[at++] = 0xff;
      buffer[at++] = length & 0xff;
      buffer[at++] = (length >>> 8) & 0xff;
      buffer[at++] = (length >>> 16) & 0xff;
    }
    at += utf8EncodeInto(text, buffer, at);
  }
  return xxhash64(buffer);
}

function hashSelected(labels: Labels, selected: (name: string) => boolean): Words64 {
  let bytes = 0;
  for (let i = 0; i < labels.length; i += 2) {
    if (selected(labels[i]!)) bytes += utf8Length(labels[i]!) + utf8Length(labels[i + 1]!) + 2;
  }
  const buffer = new Uint8Array(bytes);
  let at = 0;
  for (let i = 0; i < labels.length; i += 2) {
    if (!selected(labels[i]!)) continue;
    at += utf8EncodeInto(labels[i]!, buffer, at);
    buffer[at++] = SEPARATOR;
    at += utf8EncodeInto(labels[i + 1]!, buffer, at);
    buffer[at++] = SEPARATOR;
  }
  return xxhash64(buffer);
}
