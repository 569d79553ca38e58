/** The seam of demo. README.md has the reading order. */
export {};
