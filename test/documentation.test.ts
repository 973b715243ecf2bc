/**
 * README and guides tell the truth: TypeScript in them compiles against the built package, and what is marked `ts run`
 * runs; commands and their options exist; links lead somewhere; drawings are what their script draws.
 */

import { spawnSync } from "node:child_process";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import { Command } from "commander";
import ts from "typescript";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { define } from "../src/cli/commands/train.js";
import { argumentsOfConfig } from "../src/cli/console/config.js";
import { data, MedMamba, saveCheckpoint } from "../src/index.js";
import { anchorsOf, type CodeBlock, codeBlocks, localLinks } from "./support/documents.js";
import { repository } from "./support/repository.js";

const blocks = codeBlocks();
const inLanguage = (...languages: string[]): CodeBlock[] =>
  blocks.filter(({ language }) => languages.includes(language));

it("every block of code is in a language that is checked here, or is plain output", () => {
  const known = ["ts", "sh", "python", "json", "text", "csv", "yaml", ""];
  const others = blocks.filter(({ language }) => !known.includes(language));
  expect(others.map(({ place, language }) => `${place}: ${language}`)).toEqual([]);
  for (const { code } of inLanguage("json")) JSON.parse(code);
});

it("every config file says what `medmamba train` takes", async () => {
  const command = new Command("train");
  define(command);
  const work = mkdtempSync(join(tmpdir(), "medmamba-config-"));
  for (const { place, code } of inLanguage("yaml")) {
    const file = join(work, "config.yaml");
    writeFileSync(file, code);
    const config = await argumentsOfConfig(command, ["--config", file]);
    const action = vi.fn();
    await command.exitOverride().action(action).parseAsync(config, { from: "user" });
    expect(action, place).toHaveBeenCalledOnce();
  }
});

describe("TypeScript", () => {
  // Beside the examples' output, where "medmamba" is this package by its own name.
  const folder = join(repository, "build/documentation");
  const work = mkdtempSync(join(tmpdir(), "medmamba-documentation-"));
  const typescript = inLanguage("ts");
  const fileOf = ({ place }: CodeBlock): string => join(folder, `${place.replace(/[/:]/g, "-")}.ts`);

  beforeAll(async () => {
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(folder, { recursive: true });
    // Line numbers of messages are then those of the document.
    for (const block of typescript)
      writeFileSync(fileOf(block), `${"\n".repeat(block.line - 1)}${block.code}\nexport {};\n`);
    await prepare(work);
  });
  afterAll(() => rmSync(work, { recursive: true }));

  it("compiles", () => {
    const { config } = ts.readConfigFile(join(repository, "tsconfig.json"), ts.sys.readFile);
    const { options } = ts.convertCompilerOptionsFromJson(config.compilerOptions, repository);
    const program = ts.createProgram(typescript.map(fileOf), {
      ...options,
      rootDir: folder,
      outDir: folder,
      declaration: false,
      incremental: false,
      sourceMap: false,
      tsBuildInfoFile: undefined,
    });
    const messages = ts.getPreEmitDiagnostics(program).map(({ file, start = 0, messageText }) => {
      const line = file ? file.getLineAndCharacterOfPosition(start).line + 1 : 0;
      const name = file?.fileName.slice(folder.length + 1).replace(/-\d+\.ts$/, "");
      return `${name}:${line}: ${ts.flattenDiagnosticMessageText(messageText, "\n")}`;
    });
    program.emit();
    expect(messages).toEqual([]);
  });

  it.each(typescript.filter(({ marks }) => marks.includes("run")))("$place runs", (block) => {
    const compiled = fileOf(block).replace(/\.ts$/, ".js");
    const { status, stderr } = spawnSync(process.execPath, [compiled], { cwd: work, encoding: "utf8" });
    expect(stderr).toBe("");
    expect(status).toBe(0);
  });
});

describe("commands", () => {
  const program = join(repository, "dist/cli/main.js");
  const helps = new Map<string, string>();
  const help = (command: string): string => {
    const known = helps.get(command);
    if (known !== undefined) return known;
    const { status, stdout } = spawnSync(process.execPath, [program, command, "--help"], {
      encoding: "utf8",
    });
    const text = status === 0 ? stdout : "";
    helps.set(command, text);
    return text;
  };
  const { scripts } = JSON.parse(readFileSync(join(repository, "package.json"), "utf8"));

  /** What a line of a shell block names that there is not. */
  function missing(line: string): string[] {
    const words = line
      .replace(/^\$ /, "")
      .replace(/\s#.*$/, "")
      .trim()
      .split(/\s+/);
    while (/^[A-Z_]+=|^npx$/.test(words[0] ?? "")) words.shift();
    const [program, first = "", ...rest] = words;
    if (program === "medmamba") {
      if (first.startsWith("--")) return help("--help").includes(first) ? [] : [first];
      const text = help(first);
      if (!text.startsWith(`Usage: medmamba ${first}`)) return [`medmamba ${first}`];
      const options = rest.filter((word) => word.startsWith("--"));
      return options.filter((option) => !new RegExp(`${option}\\b`).test(text));
    }
    if (program === "npm" && first === "run")
      return rest[0] && rest[0] in scripts ? [] : [`npm run ${rest[0]}`];
    if (program === "node" || program?.includes("/")) {
      const file = program === "node" ? first : program;
      const source = file.replace(/^build\/(examples\/.*)\.js$/, "$1.ts");
      return existsSync(join(repository, source)) ? [] : [source];
    }
    return [];
  }

  it.each(inLanguage("sh"))("$place names commands, options and files that exist", ({ code }) => {
    const lines = code
      .replaceAll("\\\n", " ")
      .split("\n")
      .flatMap((line) => line.split(" && "));
    expect(lines.filter((line) => line.trim() !== "").flatMap(missing)).toEqual([]);
  });
});

it("links lead to files and headings that exist", () => {
  const broken = localLinks().filter(({ document, target }) => {
    const [path = "", anchor] = target.split("#");
    const file = path === "" ? document : join(dirname(document), path);
    if (!existsSync(join(repository, file))) return !file.startsWith("docs/api");
    return anchor !== undefined && file.endsWith(".md") && !anchorsOf(file).includes(anchor);
  });
  expect(broken).toEqual([]);
});

it("drawings are what their script draws", async () => {
  const { drawings } = await import(pathToFileURL(join(repository, "docs/images/draw.mjs")).href);
  for (const [name, svg] of Object.entries<string>(drawings)) {
    expect(readFileSync(join(repository, "docs/images", name), "utf8") === svg, name).toBe(true);
  }
});

const python = spawnSync("python3", ["--version"]).status === 0;
it.skipIf(!python).each(inLanguage("python"))("$place is Python", ({ code }) => {
  const { status, stderr } = spawnSync("python3", ["-c", "import ast, sys; ast.parse(sys.stdin.read())"], {
    input: code,
    encoding: "utf8",
  });
  expect(stderr).toBe("");
  expect(status).toBe(0);
});

/** What the documents take for granted: a folder of images, a checkpoint of a trained network, a new image. */
async function prepare(folder: string): Promise<void> {
  const scans = join(folder, "scans");
  await data.writeDemoDataset(scans, { size: 32, perClass: { train: 6, val: 2, test: 2 } });
  copyFileSync(join(scans, "test/mass/mass-0000.png"), join(folder, "new-scan.png"));
  const model = new MedMamba({ depths: [1, 1], dims: [16, 32], numClasses: 3 });
  mkdirSync(join(folder, "run"));
  await saveCheckpoint(join(folder, "run/best.safetensors"), model.stateDict(), {
    config: model.config,
    classes: data.demoClasses,
    preprocessing: data.definePreprocessing({ imageSize: 32 }),
  });
  model.dispose();
}
