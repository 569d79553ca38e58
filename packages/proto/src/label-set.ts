/** Label sets inside messages, to and from the label arrays of `model`. */
import type { Labels } from '@gauntlet/model';
import type { LabelSetMessage } from './info-messages.ts';
import { type Codec, message, repeated } from './message-codec.ts';
import { type Label, label } from './store-messages.ts';

/** Codec of ZLabelSet. */
export const labelSet: Codec<LabelSetMessage> = message<LabelSetMessage>({ labels: repeated(1, label) });

/** Labels as a message. */
export function toLabelSet(labels: Labels): LabelSetMessage {
  const out: Label[] = [];
  for (let i = 0; i < labels.length; i += 2) out.push({ name: labels[i]!, value: labels[i + 1]! });
  return { labels: out };
}

/** Labels of a message; none if it is absent. */
export function fromLabelSet(set: LabelSetMessage | undefined): Labels {
  return (set?.labels ?? []).flatMap((one) => [one.name, one.value]);
}
