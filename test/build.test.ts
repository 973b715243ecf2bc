/** The script that builds, and what npm installs with the package. */
import { spawnSync } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { basename, delimiter, dirname, join } from "node:path";
import { describe, expect, it } from "vitest";
import { localLinks } from "./support/documents.js";
import { repository } from "./support/repository.js";
import { root } from "./support/temporary-folder.js";

/** A checkout with a build folder that CMake made for `home`, and a `cmake` that only says what it is told. */
function checkout(name: string, home: (own: string) => string) {
  const own = join(root, name);
  for (const folder of ["scripts", "build/cmake", "bin"]) mkdirSync(join(own, folder), { recursive: true });
  for (const script of ["build.mjs", "find-nvcc.mjs"])
    copyFileSync(join(repository, "scripts", script), join(own, "scripts", script));
  writeFileSync(join(own, "bin/cmake"), '#!/bin/sh\necho "cmake $*"\n', { mode: 0o755 });
  writeFileSync(join(own, "build/cmake/CMakeCache.txt"), `CMAKE_HOME_DIRECTORY:INTERNAL=${home(own)}\n`);
  const { status, stdout } = spawnSync(process.execPath, [join(own, "scripts/build.mjs"), "native"], {
    encoding: "utf8",
    env: { ...process.env, PATH: join(own, "bin") + delimiter + process.env.PATH },
  });
  expect(status).toBe(0);
  return { own, stdout };
}

describe.skipIf(process.platform === "win32")("build.mjs", () => {
  it.each([
    ["another checkout", () => repository],
    ["one that is gone", () => join(root, "gone")],
  ])("makes a build folder anew that was made for %s", (name, home) => {
    const { own, stdout } = checkout(name, home);
    expect(stdout).toContain(`it is made anew for this checkout`);
    expect(stdout).toContain(`cmake -S ${own} -B ${own}/build/cmake`);
    expect(existsSync(join(own, "build/cmake/CMakeCache.txt"))).toBe(false);
  });

  it("keeps its own", () => {
    const { own, stdout } = checkout("own", (folder) => folder);
    expect(stdout).toMatch(/^cmake --build .*\n$/);
    expect(existsSync(join(own, "build/cmake/CMakeCache.txt"))).toBe(true);
  });
});

it("links of what npm delivers lead to what it delivers", () => {
  const packed = spawnSync("npm", ["pack", "--dry-run", "--json", "--ignore-scripts"], {
    cwd: repository,
    encoding: "utf8",
    maxBuffer: 2 ** 26,
  });
  const [{ files }] = JSON.parse(packed.stdout) as [{ files: { path: string; size: number }[] }];
  const paths = files.map(({ path }) => path);
  expect(paths).toEqual(
    expect.arrayContaining(["README.md", "docs/getting-started.md", "examples/train.ts"]),
  );
  const broken = localLinks().filter(({ document, target }) => {
    const file = join(dirname(document), target.split("#")[0] || basename(document)).replaceAll("\\", "/");
    return paths.includes(document) && !paths.some((path) => path === file || path.startsWith(`${file}/`));
  });
  expect(broken).toEqual([]);
  const guides = files.filter(({ path }) => /^(docs|examples|bench)\//.test(path));
  expect(guides.reduce((total, { size }) => total + size, 0)).toBeLessThan(600_000);
});

it("npm installs with the package only what it imports or builds with", () => {
  const { dependencies } = JSON.parse(readFileSync(join(repository, "package.json"), "utf8"));
  const sources = readdirSync(join(repository, "src"), { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".ts"))
    .map((file) => readFileSync(join(repository, "src", file), "utf8"))
    .join();
  const forBuilding = ["node-addon-api", "node-api-headers"]; // Headers of the addon, for `medmamba build`.
  const unused = Object.keys(dependencies).filter(
    (name) =>
      !forBuilding.includes(name) && !new RegExp(`(from |import\\(|require\\()"${name}["/]`).test(sources),
  );
  expect(unused).toEqual([]);
});
