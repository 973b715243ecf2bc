// Readable names of kernels from the compiler's symbols.
import { spawnSync } from "node:child_process";

/** The symbols' names without namespaces, the function's parameters and the types of numbers; null without c++filt. */
export function readableNames(symbols) {
  const { stdout, error } = spawnSync("c++filt", { input: symbols.join("\n") });
  if (error) return null;
  const names = stdout.toString().split("\n");
  return symbols.map((_, i) =>
    names[i]
      .replace(/\(anonymous namespace\)::|medmamba::cuda::/g, "")
      .replace(/^void /, "")
      .replace(/\((int|bool|Pass|unsigned|long)\)/g, "")
      .replace(/>?\([^()]*(\([^()]*\)[^()]*)*\)( const)?$/, (match) => (match.startsWith(">") ? ">" : "")),
  );
}
