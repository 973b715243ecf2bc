/**
 * Linux with musl in the place of glibc, such as Alpine: the delivered addon's C library and threads, the golden results, a training
 * whose checkpoint has the same bits as with glibc, predictions of the same numbers, a worker. The runtime is Bun's for musl.
 */
import { spawnSync } from "node:child_process";
import {
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { program, repository } from "../support/repository.js";
import { root } from "../support/temporary-folder.js";
import { bundleTests } from "./bundle.js";
import { bun, missing, muslEnvironment, packages } from "./musl.js";
import { outputOf } from "./output.js";
import { type Run, workOf } from "./work.js";

if (missing.length > 0) console.warn(`NOT TESTED: musl, for want of ${missing.join(", ")}.`);

describe.skipIf(missing.length > 0)("Linux x64 with musl", () => {
  const delivered = join(root, "prebuilds/linux-x64");
  const addon = join(delivered, "medmamba.musl.node");
  let environment: NodeJS.ProcessEnv = {};
  const onMusl: Run = (args) => outputOf(bun, args, { ...environment, MEDMAMBA_PREBUILD: root });

  /** The command line beside a sharp that finds its part for musl, which the repository has not. */
  function installed(): string {
    const folder = join(root, "project");
    mkdirSync(join(folder, "node_modules"), { recursive: true });
    for (const part of ["dist", "package.json", "node_modules/sharp"])
      cpSync(join(repository, part), join(folder, part), { recursive: true });
    mkdirSync(join(folder, "node_modules/sharp/node_modules"));
    symlinkSync(join(packages, "@img"), join(folder, "node_modules/sharp/node_modules/@img"));
    for (const name of readdirSync(join(repository, "node_modules")))
      if (!existsSync(join(folder, "node_modules", name)))
        symlinkSync(join(repository, "node_modules", name), join(folder, "node_modules", name));
    return join(folder, "dist/cli/main.js");
  }

  beforeAll(() => {
    outputOf(process.execPath, ["scripts/build.mjs", "musl"]);
    mkdirSync(delivered, { recursive: true });
    copyFileSync(join(repository, "build/prebuilt-musl/build/Release/medmamba.node"), addon);
    // As npm delivers them: what is glibc's lies beside it.
    copyFileSync(join(repository, "build/Release/medmamba.node"), join(delivered, "medmamba.node"));
    writeFileSync(join(delivered, "libmedmamba_cuda.so"), "");
    environment = muslEnvironment(join(root, "libraries"));
  }, 300_000);

  it("asks for the C library alone, and for nothing that musl has not", () => {
    const { stdout } = spawnSync("readelf", ["--wide", "--dynamic", "--dyn-syms", addon], {
      encoding: "utf8",
    });
    expect([...stdout.matchAll(/\(NEEDED\).*\[(.*)\]/g)].map(([, name]) => name)).toEqual(["libc.so"]);
    expect(stdout).not.toMatch(/STATIC_TLS|GLIBC|GLIBCXX/);
  });

  it("is taken where the program was made for musl, and has no CUDA there", () => {
    const found = JSON.parse(onMusl([program, "doctor", "--json"]));
    expect(found.addon).toBe(addon);
    expect(found.ok).toBe(true);
    expect(found.cuda.devices[0].reason).toMatch(/need glibc, and this system has musl/);
  });

  it("computes the golden results with every level of SIMD instructions", async () => {
    const counts = /(\d+) passed, 0 failed, (\d+) comparisons\n$/.exec(
      onMusl([await bundleTests("test/models/golden.test.ts")]),
    );
    expect(Number(counts?.[1])).toBeGreaterThanOrEqual(13);
    expect(Number(counts?.[2])).toBeGreaterThan(1000);
  });

  it("trains, predicts and works in threads, to the bit as with glibc", () => {
    const work = workOf((args) => outputOf(process.execPath, args), "Node");
    const command = installed();
    const run: Run = (args) => onMusl(args.map((one) => (one === program ? command : one)));
    expect(workOf(run, "musl")).toEqual(work);
  }, 300_000);

  it("gives its threads stacks of 1 MB, where musl's have 128 KB", () => {
    const said = JSON.parse(onMusl([join(repository, "test/runtimes/musl/stacks.mjs")]));
    expect(said.own.length).toBeGreaterThanOrEqual(3);
    for (const kilobytes of said.own) expect(kilobytes).toBeGreaterThanOrEqual(1024);
  });

  it("lets a worker be ended in the middle of its work", () => {
    expect(onMusl([join(repository, "test/runtimes/musl/terminate.mjs")])).toBe("10 workers ended\n");
  });
});
