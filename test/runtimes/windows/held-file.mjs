// Replaces a file that another program holds for a second, as soon as that is done: node held-file.mjs HOLD FOLDER.
// Prints what plain renaming says meanwhile, and what is in the file in the end.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { replaceText } from "../../../dist/weights/atomic-file.js";

const [hold, folder] = process.argv.slice(2);
const [path, other] = ["last.txt", "other.txt"].map((name) => join(folder, name));
writeFileSync(path, "old");
writeFileSync(other, "other");
const holder = spawn(hold, [path, "1000"], { stdio: ["ignore", "pipe", "inherit"] });
await once(holder.stdout, "data");
let said = "nothing";
try {
  renameSync(other, path);
} catch (error) {
  said = error.code;
}
await replaceText(path, "new");
console.log(`${said}, then ${readFileSync(path, "utf8")}, and ${readdirSync(folder)}`);
