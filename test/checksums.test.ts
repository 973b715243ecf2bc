/** The hashes of delivered native files: written for coreutils, and refused where they differ. */
import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { describe, expect, it } from "vitest";
import { repository } from "./support/repository.js";
import { root } from "./support/temporary-folder.js";

const { hashesOf, whatDiffers, writeSums } = await import(
  pathToFileURL(join(repository, "scripts/checksums.mjs")).href
);

/** A folder of two targets and their SHA256SUMS. */
function delivered(name: string): string {
  const directory = join(root, name, "prebuilds");
  for (const [target, text] of [
    ["linux-x64", "abc"],
    ["linux-arm64", ""],
  ] as const) {
    mkdirSync(join(directory, target), { recursive: true });
    writeFileSync(join(directory, target, "medmamba.node"), text);
  }
  writeSums(directory);
  return directory;
}

/** What `npm pack` would be told, were these all files that it wants. */
const verify = (directory: string) =>
  spawnSync(
    process.execPath,
    [
      join(repository, "scripts/verify-prebuilds.mjs"),
      directory,
      ...["linux-x64", "linux-x64-musl", "linux-arm64", "win32-x64"].flatMap((target) => [
        "--without",
        target,
      ]),
    ],
    { encoding: "utf8" },
  );

describe("SHA256SUMS", () => {
  it("has FIPS 180's hashes of nothing and of abc", () => {
    expect(hashesOf(delivered("known"))).toEqual([
      {
        path: "linux-arm64/medmamba.node",
        hash: "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
      },
      {
        path: "linux-x64/medmamba.node",
        hash: "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
      },
    ]);
    expect(hashesOf(join(root, "nowhere"))).toEqual([]);
  });

  it.skipIf(process.platform !== "linux")("is what sha256sum checks", () => {
    const directory = delivered("coreutils");
    const check = () => spawnSync("sha256sum", ["-c", "SHA256SUMS"], { cwd: directory, encoding: "utf8" });
    expect(check().stdout).toBe("linux-arm64/medmamba.node: OK\nlinux-x64/medmamba.node: OK\n");
    writeFileSync(join(directory, "linux-x64/medmamba.node"), "abd");
    expect(check().status).toBe(1);
  });

  it.each<[what: string, change: (directory: string) => void, problem: string]>([
    [
      "changed",
      (directory) => writeFileSync(join(directory, "linux-x64/medmamba.node"), "abd"),
      "linux-x64/medmamba.node: its SHA-256 is not the one in SHA256SUMS",
    ],
    [
      "gone",
      (directory) => rmSync(join(directory, "linux-arm64"), { recursive: true }),
      "linux-arm64/medmamba.node: SHA256SUMS names it, but it is not there",
    ],
    [
      "added",
      (directory) => cpSync(join(directory, "linux-x64"), join(directory, "win32-x64"), { recursive: true }),
      "win32-x64/medmamba.node: SHA256SUMS does not name it",
    ],
    [
      "unreadable",
      (directory) => writeFileSync(join(directory, "SHA256SUMS"), "abc\n"),
      'SHA256SUMS: "abc" is no line of a hash and a file',
    ],
    ["without its list", (directory) => rmSync(join(directory, "SHA256SUMS")), "SHA256SUMS: it is missing"],
  ])("keeps what is %s from being published", (what, change, problem) => {
    const directory = delivered(what);
    expect(whatDiffers(directory)).toEqual([]);
    expect(verify(directory).status).toBe(0);
    change(directory);
    const { status, stderr } = verify(directory);
    expect(status).toBe(1);
    expect(stderr).toContain(`  ${problem}\n`);
  });

  it("comes with addons that have no more than 15 MiB together", () => {
    const directory = delivered("large");
    const sized = (bytes: number) => {
      writeFileSync(join(directory, "linux-x64/medmamba.node"), Buffer.alloc(bytes));
      writeSums(directory);
      return verify(directory);
    };
    const full = sized(15 * 2 ** 20);
    expect(full.status).toBe(0);
    expect(full.stderr).toContain("all addons: 15.00 MiB of 15.00 MiB\n");
    const { status, stderr } = sized(15.5 * 2 ** 20);
    expect(status).toBe(1);
    expect(stderr).toContain("  all addons have 15.50 MiB together, more than 15.00 MiB\n");
  });
});
