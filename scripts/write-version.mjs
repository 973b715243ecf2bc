// Writes package.json's version into src/native/package-version.ts; `npm version` runs it before it commits.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const root = join(import.meta.dirname, "..");
const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
const file = join(root, "src/native/package-version.ts");
const declaration = /(?<=export const packageVersion = ").*(?=";)/;
writeFileSync(file, readFileSync(file, "utf8").replace(declaration, version));
