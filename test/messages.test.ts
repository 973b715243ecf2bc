/** What users are told, and what docs/messages.md says of it: the page quotes what there is, and all that they may meet. */
import { beforeAll, describe, expect, it } from "vitest";
import {
  fixedText,
  isQuoted,
  type Message,
  messagesInCode,
  messagesInPage,
  page,
} from "./support/messages.js";

/** Errors about the arguments of a call in somebody's program: a section tells their pattern, and not each. */
const ofPrograms = new Set(["ArgumentError", "ShapeError", "DTypeError", "RangeError"]);

/** Where such an error is about an option of the command line, or about data: each is in the page. */
const aboutOptions = [
  "src/cli/",
  "src/study/",
  "src/data/sources/",
  "src/data/preprocessing.ts",
  "src/data/sample-store.ts",
  "src/inference/pooling.ts",
  "src/inference/explanation/explain.ts",
  "src/inference/explanation/network.ts",
  "src/checkpoints/convert.ts",
  "src/training/batch-statistics.ts",
  "src/training/fit-options.ts",
];

/** What is not in the page, and why. */
const internal: readonly { readonly why: string; is(message: Message): boolean }[] = [
  {
    why: "arguments of functions in somebody's program",
    is: ({ kind, file }) => ofPrograms.has(kind) && !aboutOptions.some((place) => file.startsWith(place)),
  },
  {
    why: "arguments of the functions of metrics and figures",
    is: ({ kind, file }) => kind === "EvaluationError" && /^src\/(metrics|reports)\//.test(file),
  },
  {
    why: "arguments of audit and of the functions that pool, which the command line makes itself",
    is: ({ file }) => /^src\/(audit\/(picture|survey|audit)|inference\/pooling)\.ts$/.test(file),
  },
  {
    why: "names of settings, whose pattern is in the page",
    is: ({ text }) => /is no setting; (settings are|there are none)/.test(text),
  },
  {
    why: "ends of `cannot be read as a file of torch.save: …`, about files that are damaged or made by hand",
    is: ({ kind, file }) =>
      kind === "Error" && /^src\/weights\/pth\/(pickle|globals|storages|read|archive)\.ts$/.test(file),
  },
  {
    why: "ends of `the header is not valid JSON: …`",
    is: ({ kind }) => kind === "SyntaxError",
  },
  {
    why: "ends of `… is damaged: …` and of `nothing can be written to …`, of archives, runs and files",
    is: ({ kind, file }) =>
      kind === "Error" &&
      /^src\/(study\/run-directory|data\/sources\/(archive|npy|describe)|files\/zip-reader|weights\/atomic-file)\.ts$/.test(
        file,
      ),
  },
  {
    why: "ends of `… could not be downloaded: …`",
    is: ({ kind }) => kind === "RemoteFileError",
  },
  {
    why: "never seen: it ends a loop that was left, or is caught",
    is: ({ text }) =>
      /^The (epoch|stream) was left\.$|^The scalar does not depend on the tensor\.$/.test(text),
  },
];

describe(page, () => {
  let code: readonly Message[];
  const quotes = messagesInPage();
  beforeAll(() => {
    code = messagesInCode();
  }, 120_000);

  it("quotes what the code says", () => {
    const unknown = quotes.filter(({ text }) => !code.some((message) => isQuoted(message.text, text)));
    expect(
      unknown.map(
        ({ text, line }) => `${page}:${line}: nothing in src says "${text}": quote what it says now.`,
      ),
    ).toEqual([]);
  });

  it("quotes enough of each to tell it from others", () => {
    expect(quotes.filter(({ text }) => fixedText(text).length < 12)).toEqual([]);
  });

  it("has every message that users may meet", () => {
    const missing = code
      .filter((message) => !internal.some(({ is }) => is(message)))
      .filter(({ text }) => !quotes.some((quote) => isQuoted(text, quote.text)));
    expect(
      missing.map(({ text, file }) => `${file} says "${text}": tell in ${page} why, and what to do.`),
    ).toEqual([]);
  });

  it("leaves out what there is", () => {
    const without = internal.filter(({ is }) => !code.some((message) => is(message)));
    expect(without.map(({ why }) => why)).toEqual([]);
  });
});
