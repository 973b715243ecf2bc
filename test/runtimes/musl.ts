/**
 * A runtime that was made for musl: there is no Node for it among the packages of npm or Debian, but there is Bun, and Debian has
 * musl's loader.
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { repository } from "../support/repository.js";

export const packages = join(repository, "test/runtimes/packages/node_modules");
export const bun = join(packages, "@oven/bun-linux-x64-musl/bin/bun");
const sharp = ["sharp-linuxmusl-x64", "sharp-libvips-linuxmusl-x64"].map((name) =>
  join(packages, "@img", name, "lib"),
);
const loader = "/lib/ld-musl-x86_64.so.1";

/** What has to be installed for it; empty if all is there. */
export const missing: readonly string[] = [
  ...(process.arch === "x64" && existsSync(loader) ? [] : ["musl (Debian's package)"]),
  ...(spawnSync("g++", ["--version"]).status === 0 ? [] : ["g++"]),
  ...([bun, ...sharp].every((path) => existsSync(path))
    ? []
    : ["test/runtimes/packages (npm ci --force --prefix test/runtimes/packages)"]),
];

function run(command: string, args: readonly string[]): string {
  const { status, stdout, stderr } = spawnSync(command, args, { encoding: "utf8", maxBuffer: 2 ** 26 });
  if (status !== 0) throw new Error(`${command}: ${stderr}`);
  return stdout;
}

/** Names that a program or library asks others for, those that it has copied from them included. */
function namesAskedFor(path: string): string[] {
  const found = run("readelf", ["--wide", "--dyn-syms", path]).matchAll(/DEFAULT\s+\S+ (\w+)/g);
  return [...found].map(([, name]) => name!).filter((name) => /^(_Z|__cxa|__once|__dyn|__gxx)/.test(name));
}

/**
 * Makes a folder with the C++ library that Bun and sharp for musl want, of GCC's archive and musl/standin.cpp.
 *
 * @returns what has to be in the environment of {@link bun}
 */
export function muslEnvironment(folder: string): NodeJS.ProcessEnv {
  mkdirSync(folder, { recursive: true });
  const place = (name: string) => run("g++", [`-print-file-name=${name}`]).trim();
  const unwinder = join(folder, "libgcc_s.so.1");
  symlinkSync(place("libgcc_s.so.1"), unwinder);
  const own = ["test/runtimes/musl/standin.cpp", "native/glibc/additions.c"].map((source) => {
    const object = join(folder, `${source.replaceAll("/", "-")}.o`);
    run(source.endsWith(".c") ? "gcc" : "g++", [
      "-O2",
      "-fPIC",
      "-c",
      join(repository, source),
      "-o",
      object,
    ]);
    return object;
  });
  const archive = run("nm", ["--defined-only", place("libstdc++.a")]);
  const has = new Set([...archive.matchAll(/^\w+ \w (\S+)$/gm)].map(([, name]) => name));
  const libraries = [
    "sharp-linuxmusl-x64/lib/sharp-linuxmusl-x64-*.node",
    "sharp-libvips-linuxmusl-x64/lib/libvips-cpp.so.*",
  ];
  const files = run("/bin/sh", ["-c", `ls ${libraries.map((one) => join(packages, "@img", one)).join(" ")}`]);
  const wanted = [bun, ...files.trim().split("\n")].flatMap(namesAskedFor).filter((name) => has.has(name));
  run("g++", [
    ...["-shared", "-nostdlib", "-o", join(folder, "libstdc++.so.6"), "-Wl,-soname,libstdc++.so.6"],
    ...own,
    place("crtbeginS.o"),
    ...[...new Set(wanted)].map((name) => `-Wl,-u,${name}`),
    ...[place("libstdc++.a"), unwinder, place("crtendS.o"), "-Wl,--gc-sections"],
  ]);
  return { LD_LIBRARY_PATH: folder };
}
