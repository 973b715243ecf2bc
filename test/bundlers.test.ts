/**
 * A program that esbuild has put into one folder with the native files, which it names by the package's subpaths
 * (`medmamba/prebuilds/linux-x64/medmamba.node`): it runs where no medmamba is installed.
 *
 * The package is this checkout's build in the form of the delivered one; what npm packs is in pack.test.ts.
 */
import { spawnSync } from "node:child_process";
import {
  copyFileSync,
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import * as esbuild from "esbuild";
import { beforeAll, describe, expect, it } from "vitest";
import { addonPath } from "../src/native/load.js";
import { packageVersion } from "../src/native/package-version.js";
import { repository } from "./support/repository.js";
import { root } from "./support/temporary-folder.js";

const target = `${process.platform}-${process.arch}`;
const project = join(root, "project");
const installed = join(project, "node_modules/medmamba");
const delivered = `medmamba/prebuilds/${target}`;
const cudaLibraries = ["libmedmamba_cuda", "libmedmamba_cuda11"];

beforeAll(() => {
  mkdirSync(join(installed, "prebuilds", target), { recursive: true });
  copyFileSync(join(repository, "package.json"), join(installed, "package.json"));
  cpSync(join(repository, "dist"), join(installed, "dist"), { recursive: true });
  copyFileSync(addonPath(), join(installed, "prebuilds", target, "medmamba.node"));
  for (const library of cudaLibraries)
    writeFileSync(join(installed, "prebuilds", target, `${library}.so`), `any ${library}`);
  for (const name of readdirSync(join(repository, "node_modules")))
    if (!name.startsWith("."))
      symlinkSync(join(repository, "node_modules", name), join(project, "node_modules", name));
});

/** Bundles a program and the three native files into a folder where there is sharp, and nothing else. */
async function bundle(format: "esm" | "cjs", program: string): Promise<string> {
  const entry = join(project, `${format}.mjs`);
  writeFileSync(entry, program);
  const out = join(root, format);
  await esbuild.build({
    absWorkingDir: project,
    entryPoints: [
      { in: entry, out: "program" },
      { in: `${delivered}/medmamba.node`, out: `prebuilds/${target}/medmamba` },
      ...cudaLibraries.map((library) => ({
        in: `${delivered}/${library}.so`,
        out: `prebuilds/${target}/${library}`,
      })),
    ],
    outdir: out,
    bundle: true,
    platform: "node",
    format,
    external: ["sharp"],
    loader: { ".node": "copy", ".so": "copy" },
    outExtension: { ".js": format === "esm" ? ".mjs" : ".cjs" },
    logLevel: "error",
  });
  mkdirSync(join(out, "node_modules"));
  symlinkSync(join(repository, "node_modules/sharp"), join(out, "node_modules/sharp"));
  return join(out, format === "esm" ? "program.mjs" : "program.cjs");
}

/** The output of a bundled program, which has to succeed. */
function run(program: string, variables: NodeJS.ProcessEnv = {}): string {
  const { status, stdout, stderr } = spawnSync(process.execPath, [program], {
    encoding: "utf8",
    env: { ...process.env, ...variables },
  });
  expect(status, stderr).toBe(0);
  return stdout;
}

describe.each(["esm", "cjs"] as const)("bundled with its native files, as %s,", (format) => {
  it("computes without an installed package, and with the files elsewhere", async () => {
    const program = await bundle(
      format,
      `import { tensor } from "medmamba";
       const sum = tensor([1, 2, 3]).sum().item();
       Promise.resolve(sum).then((total) => console.log(JSON.stringify({ total })));`,
    );
    for (const library of cudaLibraries)
      expect(readFileSync(join(dirname(program), "prebuilds", target, `${library}.so`), "utf8")).toBe(
        `any ${library}`,
      );
    expect(JSON.parse(run(program))).toEqual({ total: 6 });
    const elsewhere = join(root, `elsewhere ${format}`);
    mkdirSync(elsewhere);
    renameSync(join(dirname(program), "prebuilds"), join(elsewhere, "prebuilds"));
    expect(JSON.parse(run(program, { MEDMAMBA_PREBUILD: elsewhere }))).toEqual({ total: 6 });
  });
});

describe("the version", () => {
  it("in the code, which bundles carry, is package.json's", () => {
    expect(packageVersion).toBe(JSON.parse(readFileSync(join(repository, "package.json"), "utf8")).version);
  });
});

describe("the subpaths", () => {
  it("are resolved by Node, to files alone that are there", () => {
    const { resolve } = createRequire(join(project, "program.js"));
    expect(resolve(`${delivered}/medmamba.node`)).toBe(join(installed, "prebuilds", target, "medmamba.node"));
    expect(() => resolve("medmamba/prebuilds/none/medmamba.node")).toThrow("Cannot find module");
    expect(() => resolve("medmamba/dist/native/load.js")).toThrow('is not defined by "exports"');
  });
});
