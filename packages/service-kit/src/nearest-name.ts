/**
 * The nearest known name to a mistyped one, for unknown flags and unknown configuration keys.
 *
 * Distance is Damerau-Levenshtein in its restricted form (insert, delete, replace, swap of neighbours cost 1 each); a name counts as near
 * when the distance is at most a third of the longer of the two, at least 1 and at most 4.
 */

/**
 * @param name what was typed
 * @param known candidates, in order of preference for equal distances
 * @returns the nearest candidate, or undefined when none is near enough
 */
export function nearestName(name: string, known: Iterable<string>): string | undefined {
  let best: string | undefined;
  let bestDistance = Number.POSITIVE_INFINITY;
  for (const candidate of known) {
    const longest = Math.max(candidate.length, name.length);
    if (longest > 200) continue;
    const limit = Math.min(4, Math.max(1, Math.floor(longest / 3)));
    if (Math.abs(candidate.length - name.length) > limit) continue;
    const distance = editDistance(name, candidate);
    if (distance <= limit && distance < longest && distance < bestDistance) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best;
}

/** Restricted Damerau-Levenshtein distance of two strings, in UTF-16 units. */
export function editDistance(a: string, b: string): number {
  let twoBack = new Uint16Array(b.length + 1);
  let oneBack = new Uint16Array(b.length + 1);
  let current = new Uint16Array(b.length + 1);
  for (let j = 0; j <= b.length; j++) oneBack[j] = j;
  for (let i = 1; i <= a.length; i++) {
    current[0] = i;
    for (let j = 1; j <= b.length; j++) {
      const replace = oneBack[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      let distance = Math.min(replace, oneBack[j]! + 1, current[j - 1]! + 1);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) distance = Math.min(distance, twoBack[j - 2]! + 1);
      current[j] = distance;
    }
    [twoBack, oneBack, current] = [oneBack, current, twoBack];
  }
  return oneBack[b.length]!;
}
