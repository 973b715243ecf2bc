// Writes stand-ins for glibc's libraries as they were in an older version, to link against:
//
//   node native/glibc/stubs.mjs DIRECTORY 2.28
//
// A binary asks for the version of each function that it was linked with, so one that is linked on a new system does not
// load on an old one, even where both have the function. glibc keeps the old versions for old binaries, though: this takes
// from the libraries of this machine, for each function, its newest version that the older glibc had, and makes empty
// libraries that export just these. What the older glibc did not have is missing at link time; additions.c has what the
// compiler's own libraries want of that. Needs readelf and a C compiler ($CC, or cc), both of them part of any toolchain.
import { execFileSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const [directory, newest] = process.argv.slice(2);
const compiler = process.env.CC ?? "cc";

const number = (version) => version.split(".").reduce((sum, part, i) => sum + Number(part) / 1000 ** i, 0);
const run = (command, ...args) => execFileSync(command, args, { encoding: "utf8", maxBuffer: 2 ** 26 });

/** Path of a library of this machine, as the compiler finds it. */
const systemFile = (name) => run(compiler, `-print-file-name=${name}`).trim();

// Until 2.34 these were libraries of their own; since then libc has their functions, under new versions beside the old.
const homes = [
  ["libdl.so.2", /^dl/],
  ["librt.so.1", /^(shm|mq|aio|lio|timer)_/],
  ["libpthread.so.0", /^(_*pthread|sem|mtx|cnd|tss|thrd)_|^call_once$/],
];

/** What a library of this machine exports: for each name its versions, newest last, as [version, type, size]. */
function exportsOf(library) {
  const found = new Map();
  for (const line of run("readelf", "--dyn-syms", "--wide", systemFile(library)).split("\n")) {
    const [, , size, type, binding, , section, symbol] = line.trim().split(/\s+/);
    const [, name, version] = /^(\w+)@@?GLIBC_([\d.]+)$/.exec(symbol ?? "") ?? [];
    if (!version || section === "UND" || section === "ABS" || !/GLOBAL|WEAK/.test(binding)) continue;
    found.set(name, [...(found.get(name) ?? []), [version, type, Number(size)]]);
  }
  for (const versions of found.values()) versions.sort(([a], [b]) => number(a) - number(b));
  return found;
}

/** The symbols of each stand-in, by soname: lists of [name, version, type, size]. */
function symbolsOfOlder() {
  const symbols = new Map(
    ["libc.so.6", "libm.so.6", ...homes.map(([soname]) => soname)].map((soname) => [soname, []]),
  );
  for (const library of ["libc.so.6", "libm.so.6"]) {
    for (const [name, versions] of exportsOf(library)) {
      const old = versions.findLast(([version]) => number(version) <= number(newest));
      if (!old) continue;
      const moved = old !== versions.at(-1) && homes.find(([, names]) => names.test(name));
      symbols.get(moved ? moved[0] : library).push([name, ...old]);
    }
  }
  return symbols;
}

function build(soname, symbols) {
  const versions = [...new Set(symbols.map(([, version]) => version))].sort((a, b) => number(a) - number(b));
  const script = versions.map((version) => `GLIBC_${version} {};\n`).join("");
  const assembly = symbols.map(([name, version, type, size], i) => {
    const section = type === "OBJECT" ? ".data" : ".text";
    const kind = type === "OBJECT" ? "@object" : "@function";
    return [
      `${section}\n.globl s${i}\n.type s${i}, ${kind}\ns${i}:\n.skip ${Math.max(size, 1)}`,
      `.size s${i}, . - s${i}\n.symver s${i}, ${name}@@GLIBC_${version}, remove\n`,
    ].join("\n");
  });
  const path = join(directory, soname);
  writeFileSync(`${path}.s`, `${assembly.join("")}.section .note.GNU-stack,"",@progbits\n`);
  writeFileSync(`${path}.map`, script);
  run(
    compiler, "-shared", "-nostdlib", `-Wl,-soname,${soname}`, `-Wl,--version-script=${path}.map`,
    "-o", path, `${path}.s`,
  );
}

// The loader itself, which is the same in every version, by the processor that is compiled for.
const loader = /^aarch64/.test(run(compiler, "-dumpmachine")) ? "ld-linux-aarch64.so.1" : "ld-linux-x86-64.so.2";
mkdirSync(directory, { recursive: true });
for (const [soname, symbols] of symbolsOfOlder()) if (symbols.length > 0) build(soname, symbols);

// What -lc and -lm find, in place of the system's files of these names.
const quoted = (...files) => files.map((file) => JSON.stringify(file)).join(" ");
const stub = (soname) => join(directory, soname);
const others = quoted(...homes.map(([soname]) => stub(soname)), systemFile(loader));
const libc = quoted(stub("libc.so.6"), systemFile("libc_nonshared.a"));
writeFileSync(join(directory, "libc.so"), `GROUP ( ${libc} AS_NEEDED ( ${others} ) )\n`);
writeFileSync(join(directory, "libm.so"), `GROUP ( ${quoted(stub("libm.so.6"))} )\n`);
