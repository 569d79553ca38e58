/** The seam of ruler. README.md has the reading order. */
export {};
