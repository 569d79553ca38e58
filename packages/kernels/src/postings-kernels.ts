/**
 * Contract of the kernels over postings: ascending lists of references, u32, each once. A list may come in pieces: a call stops where one side ends,
 * and says how far each was read, so lists of any length pass through little memory.
 *
 *   rest, 8 bytes   references read of `a` │ references read of `b`     u32; one of them is all
 */

/** Room behind the references that a list of results needs, bytes: four are written at a time. */
export const POSTINGS_SLACK_BYTES = 16;

/** See the head of this file. */
export interface PostingsKernels {
  /**
   * What both lists have.
   * @param aPtr `aCount` ascending u32, `bPtr` likewise
   * @param outPtr room for min(aCount, bCount) references and POSTINGS_SLACK_BYTES, apart from the lists
   * @param restPtr how much was read: all of the list whose last reference is the lower one, of the other what is not above it
   * @returns references written
   */
  intersectPostings(aPtr: number, aCount: number, bPtr: number, bCount: number, outPtr: number, restPtr: number): number;
  /**
   * What `a` has and `b` has not, as far as both were read.
   * @param outPtr room for aCount references and POSTINGS_SLACK_BYTES
   * @param restPtr as above; what is left of `a` when `b` ends is not written
   * @returns references written
   */
  subtractPostings(aPtr: number, aCount: number, bPtr: number, bCount: number, outPtr: number, restPtr: number): number;
}
