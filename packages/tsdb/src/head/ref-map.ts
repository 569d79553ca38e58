/**
 * Series references (numbers up to 2^53) → slots, as an open-addressing table in typed arrays: one entry per active series must
 * not be a Map entry, which costs several times as much and ends at 2^24.
 */

/** A map from reference to slot. */
export interface RefMap {
  readonly count: number;
  /** Slot of a reference, −1 when unknown. */
  get(ref: number): number;
  set(ref: number, slot: number): void;
  /** Drops every entry for which `keep` says no. */
  retain(keep: (ref: number, slot: number) => boolean): void;
  forEach(visit: (ref: number, slot: number) => void): void;
}

const EMPTY = -1;

/** An empty map. */
export function createRefMap(): RefMap {
  let keys = new Float64Array(1024).fill(EMPTY);
  let slots = new Int32Array(1024);
  let count = 0;
  const place = (ref: number): number => {
    const mask = keys.length - 1;
    let at = Math.imul(ref ^ Math.floor(ref / 4294967296), 0x9e3779b1) >>> 7;
    at &= mask;
    while (keys[at] !== EMPTY && keys[at] !== ref) at = (at + 1) & mask;
    return at;
  };
  const rebuild = (size: number, keep: (ref: number, slot: number) => boolean): void => {
    const oldKeys = keys;
    const oldSlots = slots;
    keys = new Float64Array(size).fill(EMPTY);
    slots = new Int32Array(size);
    count = 0;
    for (let i = 0; i < oldKeys.length; i++) {
      const ref = oldKeys[i]!;
      if (ref === EMPTY || !keep(ref, oldSlots[i]!)) continue;
      const at = place(ref);
      keys[at] = ref;
      slots[at] = oldSlots[i]!;
      count++;
    }
  };
  return {
    get count() {
      return count;
    },
    get(ref) {
      const at = place(ref);
      return keys[at] === ref ? slots[at]! : -1;
    },
    set(ref, slot) {
      let at = place(ref);
      if (keys[at] !== ref) {
        if ((count + 1) * 2 > keys.length) {
          rebuild(keys.length * 2, () => true);
          at = place(ref);
        }
        keys[at] = ref;
        count++;
      }
      slots[at] = slot;
    },
    retain(keep) {
      rebuild(keys.length, keep);
    },
    forEach(visit) {
      for (let i = 0; i < keys.length; i++) if (keys[i] !== EMPTY) visit(keys[i]!, slots[i]!);
    },
  };
}
