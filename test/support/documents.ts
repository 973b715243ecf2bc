/** The Markdown of this repository, as the tests of the documentation read it. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { repository } from "./repository.js";

export interface CodeBlock {
  /** "docs/performance.md:57", the line of its first line of code. */
  readonly place: string;
  readonly line: number;
  /** The first word after the backticks, such as "ts". */
  readonly language: string;
  /** Further words, such as "run". */
  readonly marks: readonly string[];
  readonly code: string;
}

/** README, CONTRIBUTING, the changes, all guides, and what stands beside the examples. */
export function documents(): string[] {
  const guides = readdirSync(join(repository, "docs")).filter((name) => name.endsWith(".md"));
  return [
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "examples/README.md",
    ...guides.map((name) => `docs/${name}`),
  ];
}

export const textOf = (document: string): string => readFileSync(join(repository, document), "utf8");

/** The fenced blocks of all documents. */
export function codeBlocks(): CodeBlock[] {
  return documents().flatMap((document) => {
    const found: CodeBlock[] = [];
    let open: { line: number; words: string[]; code: string[] } | undefined;
    for (const [i, line] of textOf(document).split("\n").entries()) {
      const fence = /^\s*```(.*)$/.exec(line);
      if (!fence) open?.code.push(line);
      else if (!open) open = { line: i + 2, words: (fence[1] ?? "").trim().split(/\s+/), code: [] };
      else {
        const { line: first, words, code } = open;
        const [language = "", ...marks] = words;
        found.push({ place: `${document}:${first}`, line: first, language, marks, code: code.join("\n") });
        open = undefined;
      }
    }
    if (open) throw new Error(`${document}:${open.line}: this block does not end.`);
    return found;
  });
}

/** Targets of links and images that are files of this repository, by the document they stand in. */
export function localLinks(): { document: string; target: string }[] {
  return documents().flatMap((document) => {
    const prose = textOf(document).replace(/```[\s\S]*?```/g, "");
    return [...prose.matchAll(/\]\(([^)\s]+)\)/g)]
      .map(([, target = ""]) => ({ document, target }))
      .filter(({ target }) => !/^[a-z]+:/.test(target));
  });
}

/** The anchor that a forge gives a heading. */
export function anchorsOf(document: string): string[] {
  return [...textOf(document).matchAll(/^#+ (.*)$/gm)].map(([, heading = ""]) =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\s_-]/gu, "")
      .replaceAll(" ", "-"),
  );
}
