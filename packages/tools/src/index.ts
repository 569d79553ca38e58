/** The seam of tools. README.md has the reading order. */
export {};
