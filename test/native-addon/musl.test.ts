/**
 * The addon for musl is linked from objects that were compiled with glibc's headers (native/musl): what it takes from the C library
 * is known, and the same in both.
 */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { repository } from "../support/repository.js";

const headers = "/usr/include/x86_64-linux-musl";
const missing = [
  ...(process.arch === "x64" && existsSync(headers) ? [] : ["musl-dev"]),
  ...(spawnSync("gcc", ["--version"]).status === 0 ? [] : ["gcc"]),
];
if (missing.length > 0)
  console.warn(`NOT TESTED: what musl has in common with glibc, for want of ${missing.join(", ")}.`);

/**
 * All that the addon takes from the C library. Before a name is added: is what it is given and gives of the same type in musl? Types
 * and numbers of the system belong into musl/abi.c.
 */
const taken = `
  _Exit __cxa_atexit __errno_location __tls_get_addr abort calloc clock_gettime dl_iterate_phdr dlclose dlerror dlopen dlsym erfc fclose
  fgets fopen fputc fputs free fwrite get_nprocs getenv gettext gettimeofday log log1p madvise malloc memchr memcmp memcpy memmove
  memset posix_memalign pow pthread_attr_destroy pthread_attr_getstacksize pthread_attr_init pthread_attr_setstacksize
  pthread_cond_broadcast pthread_cond_destroy pthread_cond_signal pthread_cond_wait pthread_create pthread_join pthread_mutex_lock
  pthread_mutex_unlock pthread_once pthread_self pthread_setaffinity_np realloc sched_getaffinity setenv snprintf sprintf stderr strchr
  strcmp strerror strlen strncmp strstr strtol strtoll syscall sysconf vsnprintf
`.match(/\w+/g);

function outputOf(command: string, args: readonly string[]): string {
  const { status, stdout, stderr } = spawnSync(command, args, {
    cwd: repository,
    encoding: "utf8",
    maxBuffer: 2 ** 26,
  });
  expect(status, stderr).toBe(0);
  return stdout;
}

describe.skipIf(missing.length > 0)("musl", () => {
  it("has the types and numbers of glibc in what is taken from it", () => {
    const source = join(repository, "test/native-addon/musl/abi.c");
    const own = outputOf("gcc", ["-print-file-name=include"]).trim();
    const compiled = (...args: string[]) =>
      outputOf("gcc", ["-std=c11", "-w", "-S", "-o", "-", ...args, source]).match(
        /^\s*\.(quad|long|zero|value|byte).*$/gm,
      );
    const glibc = compiled();
    expect(glibc?.length).toBeGreaterThan(20);
    expect(compiled("-nostdinc", "-isystem", own, "-isystem", headers)).toEqual(glibc);
  });

  it("is asked for known functions alone", () => {
    outputOf(process.execPath, ["scripts/build.mjs", "musl"]);
    const addon = join(repository, "build/prebuilt-musl/build/Release/medmamba.node");
    const symbols = outputOf("readelf", ["--wide", "--dyn-syms", addon]).matchAll(
      /GLOBAL\s+DEFAULT\s+UND (\w+)/g,
    );
    const asked = [...symbols].map(([, name]) => name!).filter((name) => !/^(napi|node_api)_/.test(name));
    expect(asked.filter((name) => !taken?.includes(name))).toEqual([]);
    expect(asked.length).toBeGreaterThan(40);
  });
});
