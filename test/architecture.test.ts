/** The rules of docs/architecture.md: imports point downward, without circles, and only `tensor` and `ops` call a device. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, sep } from "node:path";
import ts from "typescript";
import { beforeAll, describe, expect, it } from "vitest";
import { repository } from "./support/repository.js";

/**
 * Each folder or file of src, from bottom to top: what it may import beside itself, and with it all that those may. After
 * "type", for its types alone, which is not passed on; so is a single file.
 */
const mayImport: Readonly<Record<string, string>> = {
  "errors.ts": "",
  files: "errors.ts",
  settings: "errors.ts",
  metrics: "settings",
  native: "settings",
  tensor: "native",
  weights: "tensor, files",
  data: "tensor, files",
  distributed: "tensor",
  ops: "tensor",
  nn: "ops",
  models: "nn, data/preprocessing.ts, type data",
  tasks: "models, metrics, type data",
  checkpoints: "tasks, weights, data",
  audit: "data, metrics",
  inference: "checkpoints, distributed",
  training: "inference",
  reports: "training, audit",
  study: "reports",
  serving: "reports",
  benchmark: "training",
  cli: "benchmark, study, serving",
  "metrics-of-old.ts": "metrics, reports",
  "index.ts": "study, serving, metrics-of-old.ts",
};

/** The same for native/: what each part may include beside itself. */
const mayInclude: Readonly<Record<string, readonly string[]>> = {
  backend: [],
  cpu: ["backend"],
  emulator: [],
  // Kernels are compiled by the host's compiler too, where this header gives CUDA's names their meaning.
  cuda: ["backend", "emulator/device.h"],
  // Whose table is linked in; those of other backends are loaded.
  addon: ["backend", "cpu/backend.h", "cpu/thread.h"],
  glibc: [],
  musl: [],
  windows: [],
};

/** One file of another, by paths in the repository. */
interface Reference {
  readonly file: string;
  readonly line: number;
  readonly target: string;
  readonly kind: "value" | "type" | "when called";
}

// ---- src ----------------------------------------------------------------------------------------------------------

/** "loader.ts" of src/data belongs to "data", src/index.ts to itself. */
const folderOf = (file: string): string => file.split("/")[1] ?? file;

/** All folders and files that one may import, those that it may import through others included. */
function allowed(folder: string): Set<string> {
  const found = new Set<string>();
  const visit = (name: string) => {
    for (const item of (mayImport[name] ?? "").split(", ").filter(Boolean)) {
      if (found.has(item)) continue;
      found.add(item);
      visit(item);
    }
  };
  visit(folder);
  for (const item of found)
    if (/^type |\//.test(item) && !mayImport[folder]?.split(", ").includes(item)) found.delete(item);
  return found;
}

/** What is wrong with an import, as a sentence that names file and line. */
function violation({ file, line, target, kind }: Reference): string | undefined {
  const [from, to] = [folderOf(file), folderOf(target)];
  const may = allowed(from);
  const [path, types] = [target.slice("src/".length), `type ${to}`];
  if (from === to || may.has(to) || may.has(path) || (kind === "type" && may.has(types))) return undefined;
  const rows = Object.keys(mayImport);
  const which = [...may].sort((a, b) => rows.indexOf(a) - rows.indexOf(b)).join(", ");
  return `${file} line ${line} imports ${target}, but ${from} may import ${which || "nothing"} only (see docs/architecture.md).`;
}

function filesIn(folder: string, endings: RegExp): string[] {
  return readdirSync(join(repository, folder), { recursive: true, encoding: "utf8" })
    .map((name) => `${folder}/${name.split(sep).join("/")}`)
    .filter((name) => endings.test(name))
    .sort();
}

/** The imports of a source file of this project: static ones, re-exports, `import()` of values and of types, augmentations. */
function importsOf(file: string): Reference[] {
  const source = ts.createSourceFile(
    file,
    readFileSync(join(repository, file), "utf8"),
    ts.ScriptTarget.Latest,
    true,
  );
  const found: Reference[] = [];
  const add = (name: ts.Node | undefined, kind: Reference["kind"]) => {
    if (!name || !ts.isStringLiteralLike(name) || !name.text.startsWith(".")) return;
    const target = join(dirname(file), name.text.replace(/\.js$/, ".ts")).split(sep).join("/");
    const line = source.getLineAndCharacterOfPosition(name.getStart()).line + 1;
    found.push({ file, line, target, kind });
  };
  const visit = (node: ts.Node): void => {
    if (ts.isImportDeclaration(node)) {
      const clause = node.importClause;
      const named =
        clause?.namedBindings && ts.isNamedImports(clause.namedBindings) && clause.namedBindings.elements;
      const types =
        clause?.isTypeOnly || (named && !clause.name && named.every(({ isTypeOnly }) => isTypeOnly));
      add(node.moduleSpecifier, types ? "type" : "value");
    } else if (ts.isExportDeclaration(node)) {
      const clause = node.exportClause;
      const named = clause && ts.isNamedExports(clause) ? clause.elements : undefined;
      const types = node.isTypeOnly || named?.every(({ isTypeOnly }) => isTypeOnly);
      add(node.moduleSpecifier, types ? "type" : "value");
    } else if (ts.isImportTypeNode(node)) {
      add(ts.isLiteralTypeNode(node.argument) ? node.argument.literal : undefined, "type");
    } else if (ts.isModuleDeclaration(node)) {
      add(node.name, "type");
    } else if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) {
      add(node.arguments[0], "when called");
    }
    ts.forEachChild(node, visit);
  };
  visit(source);
  return found;
}

/** Circles of imports that run when the program starts: each as the files on the way round. */
function circles(imports: readonly Reference[]): string[] {
  const targets = new Map<string, string[]>();
  for (const { file, target, kind } of imports)
    if (kind === "value") targets.set(file, [...(targets.get(file) ?? []), target]);
  const found: string[] = [];
  const done = new Set<string>();
  const visit = (file: string, path: readonly string[]): void => {
    const start = path.indexOf(file);
    if (start >= 0) found.push([...path.slice(start), file].join(" -> "));
    if (start >= 0 || done.has(file)) return;
    for (const target of targets.get(file) ?? []) visit(target, [...path, file]);
    done.add(file);
  };
  for (const file of targets.keys()) visit(file, []);
  return found;
}

describe("imports in src", () => {
  const files = filesIn("src", /\.ts$/);
  const imports = files.flatMap(importsOf);

  it("are all read", () => {
    expect(imports.length).toBeGreaterThan(500);
    expect(imports.filter(({ target }) => !existsSync(join(repository, target)))).toEqual([]);
  });

  it("come from folders that are in the table", () => {
    expect([...new Set(files.map(folderOf))].filter((name) => mayImport[name] === undefined)).toEqual([]);
  });

  it("come from folders that docs/architecture.md draws", () => {
    const drawn = readFileSync(join(repository, "docs/architecture.md"), "utf8");
    const folders = [...new Set(files.map(folderOf))].filter((name) => !name.endsWith(".ts"));
    expect(folders.filter((name) => !new RegExp(`^${name} {2,}\\S`, "m").test(drawn))).toEqual([]);
  });

  it("point downward", () => {
    expect(imports.flatMap((reference) => violation(reference) ?? [])).toEqual([]);
  });

  it("are refused upward and sideways, in a sentence", () => {
    const upward = { file: "src/data/loader.ts", line: 3, target: "src/cli/console/wording.ts" };
    const sentence =
      "src/data/loader.ts line 3 imports src/cli/console/wording.ts, but data may import errors.ts, files, settings, native, tensor " +
      "only (see docs/architecture.md).";
    expect(violation({ ...upward, kind: "value" })).toBe(sentence);
    expect(violation({ ...upward, kind: "type" })).toBe(sentence);
    expect(violation({ ...upward, kind: "when called" })).toBe(sentence);
    const from = (file: string, target: string, kind: Reference["kind"] = "value") =>
      violation({ file, line: 1, target, kind }) === undefined;
    expect(from("src/weights/safetensors.ts", "src/data/index.ts")).toBe(false);
    expect(from("src/serving/server.ts", "src/study/run-plan.ts")).toBe(false);
    expect(from("src/metrics/ranking.ts", "src/tensor/tensor.ts", "type")).toBe(false);
    expect(from("src/models/input.ts", "src/data/index.ts", "type")).toBe(true);
    expect(from("src/models/input.ts", "src/data/index.ts")).toBe(false);
    expect(from("src/models/input.ts", "src/data/preprocessing.ts")).toBe(true);
    expect(from("src/tasks/binary.ts", "src/data/index.ts", "type")).toBe(true);
    expect(from("src/tasks/binary.ts", "src/data/index.ts")).toBe(false);
    expect(from("src/cli/main.ts", "src/errors.ts")).toBe(true);
  });

  it("have no circles", () => {
    expect(circles(imports)).toEqual([]);
    const circle = (from: string, to: string) =>
      ({ file: from, line: 1, target: to, kind: "value" }) as const;
    expect(circles([circle("a", "b"), circle("b", "c"), circle("c", "b")])).toEqual(["b -> c -> b"]);
  });
});

describe("a device", () => {
  /** What moves work or memory; describing, waiting and timing are everybody's. */
  const seam: Readonly<Record<string, readonly string[]>> = {
    Device: ["call", "plan", "allocate", "upload", "download", "receive"],
    NativeStream: ["call", "allocate", "upload", "download", "receive"],
    NativeAddon: ["plan", "openStream", "deviceCount"],
  };
  const within = new Set(["native", "tensor", "ops"]);
  let program: ts.Program;

  beforeAll(() => {
    const config = ts.readConfigFile(join(repository, "tsconfig.json"), ts.sys.readFile);
    const { fileNames, options } = ts.parseJsonConfigFileContent(config.config, ts.sys, repository);
    program = ts.createProgram(fileNames, { ...options, noEmit: true, incremental: false });
  });

  it("is called by tensor and ops alone", () => {
    const checker = program.getTypeChecker();
    const calls: string[] = [];
    let known = 0;
    for (const source of program.getSourceFiles()) {
      const file = relative(repository, source.fileName).split(sep).join("/");
      if (!file.startsWith("src/")) continue;
      const visit = (node: ts.Node): void => {
        if (ts.isPropertyAccessExpression(node)) {
          const method = checker.getSymbolAtLocation(node.name);
          const owner = method?.declarations?.[0]?.parent;
          const type =
            owner && (ts.isClassLike(owner) || ts.isInterfaceDeclaration(owner)) && owner.name?.text;
          if (type && seam[type]?.includes(node.name.text)) {
            known += 1;
            const line = source.getLineAndCharacterOfPosition(node.getStart()).line + 1;
            if (!within.has(folderOf(file)))
              calls.push(`${file} line ${line} uses ${type}.${node.name.text}: give it a function in ops.`);
          }
        }
        ts.forEachChild(node, visit);
      };
      visit(source);
    }
    expect(known).toBeGreaterThan(50);
    expect(calls).toEqual([]);
  });
});

// ---- native -------------------------------------------------------------------------------------------------------

describe("includes in native", () => {
  const files = filesIn("native", /\.(cpp|h|cu|cuh|c)$/);
  const includes = files.flatMap((file): Reference[] => {
    const lines = readFileSync(join(repository, file), "utf8").split("\n");
    return lines.flatMap((text, i) => {
      const name = /^\s*#\s*include\s*"([^"]+)"/.exec(text)?.[1];
      if (name === undefined) return [];
      const part = file.split("/").slice(0, 2).join("/");
      const places = [join(dirname(file), name), join(part, name)].map((path) => path.split(sep).join("/"));
      const target = places.find((path) => existsSync(join(repository, path)));
      return [{ file, line: i + 1, target: target ?? name, kind: "value" }];
    });
  });

  it("are all found", () => {
    expect(includes.length).toBeGreaterThan(200);
    expect(includes.filter(({ target }) => !target.startsWith("native/"))).toEqual([]);
  });

  it("stay within their part, but for what is drawn", () => {
    const wrong = includes.flatMap(({ file, line, target }) => {
      const [, from = "", ...rest] = file.split("/");
      const [, to = "", ...path] = target.split("/");
      expect(rest.length > 0 && mayInclude[from], `native/${from} is in the table`).toBeTruthy();
      const may = mayInclude[from] ?? [];
      if (from === to || may.includes(to) || may.includes(`${to}/${path.join("/")}`)) return [];
      return [
        `${file} line ${line} includes ${target}, but native/${from} may include ${may.join(", ") || "nothing"} only.`,
      ];
    });
    expect(wrong).toEqual([]);
  });
});
