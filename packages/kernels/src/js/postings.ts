/** Ascending lists of references, one against one: the twin of as/postings.ts. Contract in ../postings-kernels.ts. */
import type { LinearMemory } from '../kernel-memory.ts';
import type { PostingsKernels } from '../postings-kernels.ts';

/** The twin over `memory`. */
export function createPostingsTwin(memory: LinearMemory): PostingsKernels {
  /** Walks both lists; writes what only `a` has, or what both have. */
  const walk = (aPtr: number, aCount: number, bPtr: number, bCount: number, outPtr: number, restPtr: number, isCommon: boolean): number => {
    const { words } = memory;
    const a = aPtr >>> 2;
    const b = bPtr >>> 2;
    const out = outPtr >>> 2;
    let i = 0;
    let j = 0;
    let count = 0;
    while (i < aCount && j < bCount) {
      const x = words[a + i]! >>> 0;
      const y = words[b + j]! >>> 0;
      words[out + count] = x;
      count += +(isCommon ? x === y : x < y);
      i += +(x <= y);
      j += +(y <= x);
    }
    words[restPtr >>> 2] = i;
    words[(restPtr >>> 2) + 1] = j;
    return count;
  };
  return {
    intersectPostings: (aPtr, aCount, bPtr, bCount, outPtr, restPtr) => walk(aPtr, aCount, bPtr, bCount, outPtr, restPtr, true),
    subtractPostings: (aPtr, aCount, bPtr, bCount, outPtr, restPtr) => walk(aPtr, aCount, bPtr, bCount, outPtr, restPtr, false),
  };
}
