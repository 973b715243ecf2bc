/**
 * What a user is told when the addon or the CUDA library cannot be loaded, or the GPU's driver is broken. Each failure is
 * made: files that are damaged, foreign, forbidden or absent; libraries and drivers of test/native/fakes.
 */
import { spawnSync } from "node:child_process";
import { chmod, copyFile, mkdir, readFile, symlink, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { Worker } from "node:worker_threads";
import { beforeAll, describe, expect, it } from "vitest";
import { AddonError } from "../../src/errors.js";
import { inspectLibrary, type System, thisSystem } from "../../src/native/inspection.js";
import { addonPath, load, loadAddon } from "../../src/native/load.js";
import { packageRoot } from "../../src/native/package-root.js";
import { root as temporary } from "../support/temporary-folder.js";

const target = `${process.platform}-${process.arch}`;
const delivered = join("prebuilds", target, "medmamba.node");
const local = join("build", "Release", "medmamba.node");
const fakes = join(packageRoot, "build", "fakes");
const fakeBackend = join(fakes, "libfake_backend.so");
const linux = process.platform === "linux" && process.arch === "x64";

let packages = 0;
/** A package with these files; a function makes the file of that path. */
async function packageOf(files: Record<string, Buffer | ((path: string) => Promise<void>)>): Promise<string> {
  const root = join(temporary, `package ${packages++}`);
  for (const [name, content] of Object.entries(files)) {
    const path = join(root, name);
    await mkdir(dirname(path), { recursive: true });
    if (typeof content === "function") await content(path);
    else await writeFile(path, content);
  }
  return root;
}

/** What the user is told, with paths relative to the package. */
function refusal(root: string, system: Partial<System> = {}): string {
  try {
    load(root, () => ({ ...thisSystem(), ...system }));
  } catch (error) {
    expect(error).toBeInstanceOf(AddonError);
    expect(error).toHaveProperty("tried", [join(root, local), join(root, delivered)]);
    return (error as Error).message.replaceAll(`${root}/`, "");
  }
  throw new Error("it was loaded");
}

let addon: Buffer;
beforeAll(async () => {
  addon = await readFile(addonPath());
});

/** The addon's file with some bytes changed. */
function changed(change: (bytes: Buffer) => void): Buffer {
  const bytes = Buffer.from(addon);
  change(bytes);
  return bytes;
}

describe("an addon", () => {
  it("of a local build comes before the delivered one, which is used where that does not load", async () => {
    const link = (path: string) => symlink(addonPath(), path);
    const both = await packageOf({ [local]: link, [delivered]: link });
    expect(load(both).path).toBe(join(both, local));
    const damaged = await packageOf({ [local]: Buffer.from("no library"), [delivered]: link });
    expect(load(damaged).path).toBe(join(damaged, delivered));
  });

  it("that is not there is looked for in two places", async () => {
    const message = refusal(await packageOf({ "package.json": Buffer.from("{}") }));
    expect(message).toMatch(/^the native addon could not be loaded on \S+.*, Node v\d+\S+\. Tried:\n/);
    expect(message).toContain(`  ${local}: not there\n  ${delivered}: not there\n`);
    expect(message).toContain("This package came without an addon: compile it with `npx medmamba build`");
  });

  it("that is not there in a source checkout has to be built", async () => {
    const message = refusal(await packageOf({ "src/index.ts": Buffer.from("") }));
    expect(message).toContain("In a source checkout, build it with `npm run build`.");
  });

  it("that npm delivers for other systems has to be compiled", async () => {
    const message = refusal(
      await packageOf({
        "prebuilds/SHA256SUMS": Buffer.from(""),
        "prebuilds/plan9-mips/medmamba.node": Buffer.from(""),
      }),
    );
    expect(message).toContain(
      "npm delivers the addon for plan9-mips; for this system, compile it with `npx medmamba build`",
    );
  });

  it.each<[what: string, content: () => Buffer, told: RegExp]>([
    ["is empty", () => Buffer.alloc(0), /the file is damaged: it is no native library/],
    ["is text", () => Buffer.from("<html>not found</html>"), /the file is damaged: it is no native library/],
    ["ends early", () => addon.subarray(0, 40), /the file is damaged: it ends after 40 bytes/],
    ["is cut off", () => addon.subarray(0, 200_000), /the file is damaged: it has 200000 of \d+ bytes/],
    ["is for a Mac", () => Buffer.from("cffaedfe0c000001", "hex"), /it is built for darwin, this is linux/],
    ["is for Windows", () => Buffer.from("MZ\x90\0"), /it is built for win32, this is linux/],
    [
      "is for another processor",
      () => changed((bytes) => bytes.writeUInt16LE(183, 18)),
      /it is built for arm64, this Node is for x64/,
    ],
    [
      "has a damaged inside",
      () => changed((bytes) => bytes.fill(0xff, 64, 400)),
      /medmamba\.node: (?!not there).+\n/, // in the loader's words
    ],
  ])("that %s is not loaded, and the reason is said", async (_, content, told) => {
    if (!linux) return;
    const message = refusal(await packageOf({ [delivered]: content() }));
    expect(message).toMatch(told);
    expect(message).toContain("Install the package again (`npm install medmamba --force`), or compile it");
  });

  it.runIf(linux)("that is another library is refused in Node's words", async () => {
    const message = refusal(await packageOf({ [delivered]: (path) => copyFile(fakeBackend, path) }));
    expect(message).toContain(`${delivered}: Module did not self-register`);
  });

  it("that needs glibc is not for a system with musl, but on x64, where there is one for musl", async () => {
    const root = await packageOf({ [delivered]: Buffer.from("") });
    const onArm = refusal(root, { platform: "linux", arch: "arm64", glibc: undefined });
    expect(onArm).toContain("-arm64 with musl, Node");
    expect(onArm).toContain(
      "for arm64 needs glibc, and this system has musl (Alpine Linux): use an image with glibc",
    );
    const onIntel = refusal(root, { platform: "linux", arch: "x64", glibc: undefined });
    expect(onIntel).toContain("-x64 with musl, Node");
    expect(onIntel).toContain("Install the package again (`npm install medmamba --force`), or compile it");
  });

  it.each([
    ["2.17", true],
    ["2.27", true],
    ["2.28", false],
    ["3.1", false],
  ])(
    "that needs glibc 2.28 is tried with glibc %s, and that is named if it is too old",
    async (glibc, old) => {
      const root = await packageOf({ [delivered]: Buffer.from("") });
      const message = refusal(root, { platform: "linux", glibc });
      const told = `needs glibc 2.28 or newer, this system has ${glibc}: use a newer system, or compile it`;
      if (old) expect(message).toContain(told);
      else expect(message).not.toContain("needs glibc");
    },
  );

  it("in a folder that this user may not read is said to be there", async () => {
    const root = await packageOf({ [delivered]: Buffer.from("") });
    const folder = join(root, "prebuilds", target);
    await chmod(folder, 0o000);
    try {
      const told = asNobody(join(folder, "medmamba.node"));
      if (told !== undefined) expect(told).toBe("this user may not read it (permission denied)");
    } finally {
      await chmod(folder, 0o755);
    }
  });
});

describe("node-gyp-build, which finds the addon,", () => {
  const inTarget = (name: string) => join("prebuilds", target, name);
  const clean = Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !/^(MEDMAMBA_|PREBUILDS_ONLY$|LIBC$)/.test(name)),
  );

  /** What a program prints that has been started with these variables, which node-gyp-build reads once. */
  function printed(program: string, variables: Record<string, string> = {}, cwd = packageRoot): string {
    const { stdout, stderr } = spawnSync(
      process.execPath,
      [
        "--input-type=module",
        "--eval",
        `import { addonPath, backendLibrary, load } from ${JSON.stringify(join(packageRoot, "dist/native/load.js"))};
         ${program}`,
      ],
      { encoding: "utf8", env: { ...clean, ...variables }, cwd },
    );
    expect(stderr).toBe("");
    return stdout.trim();
  }

  /** The file that is loaded of a package, or else what the user is told; with paths relative to the package. */
  function outcome(root: string, variables: Record<string, string> = {}): string {
    const program = `try { console.log(load(${JSON.stringify(root)}).path); } catch (error) {
      console.log(error.message); console.log("tried", error.tried.join(" ")); }`;
    return printed(program, variables).replaceAll(`${root}/`, "");
  }

  /** A package that has the addon in each of these places. */
  const packageWith = (...places: string[]) =>
    packageOf({
      "package.json": Buffer.from('{ "name": "medmamba" }'),
      ...Object.fromEntries(places.map((place) => [place, (path: string) => symlink(addonPath(), path)])),
    });

  it.each<[what: string, places: string[], variables: Record<string, string>, loaded: string]>([
    ["a local build first", [local, delivered], {}, local],
    ["a debugging build, too", ["build/Debug/medmamba.node", delivered], {}, "build/Debug/medmamba.node"],
    ["no local build with PREBUILDS_ONLY", [local, delivered], { PREBUILDS_ONLY: "1" }, delivered],
    [
      "a tagged file before one without tags",
      [inTarget("medmamba.napi.node"), delivered],
      {},
      inTarget("medmamba.napi.node"),
    ],
    [
      "the file of the C library that LIBC names",
      [inTarget("medmamba.glibc.node"), inTarget("medmamba.musl.node")],
      { LIBC: "musl" },
      inTarget("medmamba.musl.node"),
    ],
    [
      "of what npm delivers the file without a tag, which is for glibc",
      [inTarget("medmamba.musl.node"), delivered],
      {},
      delivered,
    ],
    [
      "the file for musl where that is wanted",
      [inTarget("medmamba.musl.node"), delivered],
      { LIBC: "musl" },
      inTarget("medmamba.musl.node"),
    ],
    ["any other file where there is none for musl", [delivered], { LIBC: "musl" }, delivered],
    [
      "the folder of npm_config_platform and npm_config_arch",
      [delivered, "prebuilds/plan9-mips/medmamba.node"],
      { npm_config_platform: "plan9", npm_config_arch: "mips" },
      "prebuilds/plan9-mips/medmamba.node",
    ],
    [
      "the folder of several processors",
      [`prebuilds/${target}+mips/medmamba.node`],
      {},
      `prebuilds/${target}+mips/medmamba.node`,
    ],
  ])("takes %s", async (_, places, variables, loaded) => {
    expect(outcome(await packageWith(...places), variables)).toBe(loaded);
  });

  it("takes none but delivered files with PREBUILDS_ONLY, and that is said where none loads", async () => {
    const told = outcome(await packageWith(local), { PREBUILDS_ONLY: "1" });
    expect(told).toContain(
      `Tried:\n  ${delivered}: not there\n` +
        "  Unset PREBUILDS_ONLY=1 to have the addon looked for in the usual places.\n" +
        "  This package came without an addon: compile it with `npx medmamba build`",
    );
    expect(told).toContain(`tried ${delivered}`);
  });

  it("looks in the folder of MEDMAMBA_PREBUILD alone, where the CUDA library has to be, too", async () => {
    const root = await packageWith(delivered);
    const elsewhere = await packageWith(delivered);
    const variables = { MEDMAMBA_PREBUILD: elsewhere };
    const loaded = join(elsewhere, delivered);
    expect(outcome(root, variables)).toBe(loaded);
    const library = join(dirname(loaded), "libmedmamba_cuda.so");
    expect(printed('console.log(backendLibrary("medmamba_cuda"))', variables)).toBe(library);
    expect(printed("console.log(addonPath())", { MEDMAMBA_PREBUILD: "." }, elsewhere)).toBe(loaded);

    const empty = await packageWith();
    const told = outcome(root, { MEDMAMBA_PREBUILD: empty });
    expect(told).toContain(
      `Tried:\n  ${join(empty, local)}: not there\n  ${join(empty, delivered)}: not there\n` +
        `  Unset MEDMAMBA_PREBUILD=${empty} to have the addon looked for in the usual places.`,
    );
    expect(told).not.toContain("npm install");
    expect(told).toContain(`tried ${join(empty, local)} ${join(empty, delivered)}`);
  });

  it("finds the same in a worker", async () => {
    const elsewhere = await packageWith(delivered);
    const source = `import(${JSON.stringify(join(packageRoot, "dist/native/load.js"))}).then(({ addonPath }) =>
      require("node:worker_threads").parentPort.postMessage(addonPath()))`;
    const program = `const { Worker } = await import("node:worker_threads");
      const inWorker = new Promise((resolve) => new Worker(${JSON.stringify(source)}, { eval: true, execArgv: [] }).once("message", resolve));
      console.log(addonPath() === await inWorker, addonPath());`;
    expect(printed(program, { MEDMAMBA_PREBUILD: elsewhere })).toBe(`true ${join(elsewhere, delivered)}`);
  });

  it("is named with a file of its choice that does not load, before the usual places", async () => {
    const tagged = inTarget("medmamba.napi.node");
    const told = outcome(await packageOf({ [tagged]: Buffer.from("no library") }));
    expect(told).toContain(`tried ${[tagged, local, delivered].join(" ")}`);
    expect(told).toContain(`  ${tagged}: the file is damaged: it is no native library\n`);
  });

  it("is loaded when the addon is first needed, not with the package", () => {
    const program = `const { createRequire, default: { _cache } } = await import("node:module");
      const loaded = () => Object.keys(_cache).some((path) => path.includes("node-gyp-build"));
      await import(${JSON.stringify(join(packageRoot, "dist/index.js"))});
      const before = loaded();
      addonPath();
      console.log(before, loaded());`;
    expect(printed(program)).toBe("false true");
  });
});

describe("a library of Windows", () => {
  /** As its headers are: those of DOS and of the file, and one section that ends with the file. */
  const library = (machine: number, size = 1024): Buffer => {
    const bytes = Buffer.alloc(1024);
    bytes.write("MZ");
    bytes.writeUInt32LE(128, 60);
    bytes.write("PE\0\0", 128);
    bytes.writeUInt16LE(machine, 132);
    bytes.writeUInt16LE(1, 134);
    bytes.writeUInt16LE(240, 148);
    bytes.writeUInt32LE(512, 128 + 24 + 240 + 16);
    bytes.writeUInt32LE(512, 128 + 24 + 240 + 20);
    return bytes.subarray(0, size);
  };
  const windows = { platform: "win32", arch: "x64" };

  it.each([
    ["right", library(0x8664), undefined],
    ["cut off", library(0x8664, 1000), "the file is damaged: it has 1000 of 1024 bytes"],
    ["cut off within its headers", library(0x8664, 140), "the file is damaged: it ends after 140 bytes"],
    ["for another processor", library(0xaa64), "it is built for arm64, this Node is for x64"],
    ["for Linux", Buffer.from("\x7fELF"), "it is built for linux, this is win32"],
  ])("that is %s", async (name, bytes, problem) => {
    const path = join(temporary, `${name}.node`);
    await writeFile(path, bytes);
    expect(inspectLibrary(path, windows)).toBe(problem);
  });
});

/** `inspectLibrary` as a user without rights; undefined, said loudly, if there is no way to become one. */
function asNobody(path: string): string | undefined {
  if (process.getuid?.() !== 0) return inspectLibrary(path, process);
  const code = `
    process.setgid(65534); process.setuid(65534);
    process.stdout.write(String(inspectLibrary(${JSON.stringify(path)}, process)));`;
  const { stdout, stderr } = spawnSync(
    process.execPath,
    [
      "--input-type=module",
      "--eval",
      `import { inspectLibrary } from ${JSON.stringify(join(packageRoot, "dist/native/inspection.js"))};${code}`,
    ],
    { encoding: "utf8" },
  );
  if (stdout) return stdout;
  console.error(`NOT TESTED: an unreadable folder, because another user cannot run Node here: ${stderr}`);
  return undefined;
}

describe.runIf(linux)("a GPU's driver", () => {
  const log = join(temporary, "asked");

  /** What a program prints that asks for the GPUs of a library, with the fake driver installed. */
  function ask(way: string, program = "console.log(whyNoGpu(library, 2000));", variables = {}) {
    const { stdout, stderr, status } = spawnSync(
      process.execPath,
      [
        "--input-type=module",
        "--eval",
        `import { Worker } from "node:worker_threads";
         import { whyNoGpu } from ${JSON.stringify(join(packageRoot, "dist/native/probe.js"))};
         const library = ${JSON.stringify(fakeBackend)};
         ${program}`,
      ],
      {
        encoding: "utf8",
        env: {
          ...process.env,
          LD_LIBRARY_PATH: fakes,
          FAKE_BACKEND: way,
          FAKE_BACKEND_LOG: log,
          ...variables,
        },
      },
    );
    expect(stderr).toBe("");
    expect(status).toBe(0);
    return stdout.trim();
  }

  it("that aborts takes only the process with it that asks", () => {
    expect(ask("abort")).toBe(
      "the NVIDIA driver crashed when it was asked for its GPUs (SIGABRT: fake driver: out of luck); " +
        "installing it again, or restarting the machine, may help",
    );
  });

  it("that does not answer is given up", () => {
    expect(ask("hang")).toMatch(/^the NVIDIA driver did not answer within 2 seconds/);
  });

  it("that answers is quoted", () => {
    expect(ask("")).toBe("the fake backend has no devices");
  });

  it("is asked once a process, by whichever thread is first", async () => {
    await writeFile(log, "");
    const answers = ask(
      "",
      `const answer = () => whyNoGpu(library);
       const source = "import(" + JSON.stringify(${JSON.stringify(join(packageRoot, "dist/native/probe.js"))}) +
         ").then(({ whyNoGpu }) => require('node:worker_threads').parentPort.postMessage(whyNoGpu(" +
         JSON.stringify(library) + ")))";
       console.log([answer(), answer(), await new Promise((resolve) =>
         new Worker(source, { eval: true, execArgv: [] }).once("message", resolve))].join("|"));`,
    );
    expect(answers).toBe(Array(3).fill("the fake backend has no devices").join("|"));
    expect(await readFile(log, "utf8")).toBe("asked\n");
  });

  it("is not asked where there is none", async () => {
    await writeFile(log, "");
    // One that cannot be loaded hides whatever this machine has.
    const none = join(temporary, "no-driver");
    await mkdir(none);
    await writeFile(join(none, "libcuda.so.1"), "");
    expect(ask("abort", "console.log(whyNoGpu(library));", { LD_LIBRARY_PATH: none })).toBe("undefined");
    expect(await readFile(log, "utf8")).toBe("");
  });

  it("is not asked about a library of another version of the interface, which is refused", () => {
    expect(ask("other version")).toBe(
      `${fakeBackend} was built for version 999 of the backend interface, ` +
        `this addon has version ${loadAddon().abiVersion}: build or install both together`,
    );
  });
});

it("an addon can be loaded by a worker beside the main thread", async () => {
  const worker = new Worker(`require(${JSON.stringify(addonPath())}).openStream("cpu", {}).close()`, {
    eval: true,
  });
  expect(await new Promise((resolve) => worker.once("exit", resolve))).toBe(0);
});

/** Whether there is qemu to pretend another processor; says loudly if there is not. */
function hasQemu(): boolean {
  if (!linux) return false;
  if (spawnSync("qemu-x86_64", ["--version"]).status === 0) return true;
  console.error(
    "NOT TESTED: processors without AVX-512 or AVX2, because qemu-x86_64 (qemu-user) is not installed.",
  );
  return false;
}

describe.runIf(hasQemu())("a processor", () => {
  it.each([
    ["without AVX2", "Nehalem", ["portable"]],
    ["with AVX2 alone", "Haswell", ["avx2", "portable"]],
  ])("%s runs what it can", (_, processor, levels) => {
    const program = `
      const addon = require(${JSON.stringify(addonPath())});
      const stream = addon.openStream("cpu", { threads: 1 });
      const x = stream.allocate(64), y = new Float32Array(16);
      stream.upload(x, Float32Array.from({ length: 16 }, (_, i) => i));
      stream.call("affine", { count: 16, scale: 2, shift: 1, x, y: x });
      stream.download(x, y).then(() =>
        console.log(JSON.stringify({ levels: addon.simdLevels, used: stream.describe().simd, y: [...y] })));`;
    // qemu runs Node's own compiler slowly, and nothing here needs it.
    const { stdout, stderr } = spawnSync(
      "qemu-x86_64",
      ["-cpu", processor, process.execPath, "--jitless", "--eval", program],
      { encoding: "utf8" },
    );
    expect(stdout, stderr).not.toBe("");
    expect(JSON.parse(stdout)).toEqual({
      levels,
      used: levels[0],
      y: Array.from({ length: 16 }, (_, i) => 2 * i + 1),
    });
  });
});
