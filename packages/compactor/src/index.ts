/** The seam of compactor. README.md has the reading order. */
export {};
