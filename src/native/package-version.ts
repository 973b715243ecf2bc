/**
 * This package's version, as package.json has it: a constant, because a bundle leaves package.json behind.
 * `npm version` writes it, by scripts/write-version.mjs.
 */
export const packageVersion = "0.1.0";
