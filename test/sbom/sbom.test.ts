/** The list of what the package consists of, judged by CycloneDX's own schema and compared with what npm says it installs. */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { repository } from "../support/repository.js";
import { root } from "../support/temporary-folder.js";

interface Component {
  readonly type: string;
  readonly "bom-ref": string;
  readonly group?: string;
  readonly name: string;
  readonly version: string;
  readonly purl?: string;
  readonly hashes?: readonly { readonly alg: string; readonly content: string }[];
  readonly licenses: readonly { readonly license?: { readonly id?: string }; readonly expression?: string }[];
}

interface Bom {
  readonly metadata: {
    readonly timestamp?: string;
    readonly component: Component & { readonly components: readonly Component[] };
  };
  readonly components: readonly Component[];
  readonly dependencies: readonly { readonly ref: string; readonly dependsOn: readonly string[] }[];
}

interface Installed {
  readonly version?: string;
  readonly dependencies?: Readonly<Record<string, Installed>>;
}

const prebuilds = join(root, "prebuilds");
const packages = join(repository, "test/sbom/packages/node_modules");
const library = join(packages, "@cyclonedx/cyclonedx-library");
if (!existsSync(library))
  console.warn(
    "NOT TESTED: CycloneDX's schema, for want of test/sbom/packages (npm ci --omit=optional --prefix test/sbom/packages).",
  );

function write(variables: NodeJS.ProcessEnv = {}, directory = prebuilds) {
  const { SOURCE_DATE_EPOCH: _, ...environment } = process.env;
  return spawnSync(process.execPath, [join(repository, "scripts/sbom.mjs"), ...["--prebuilds", directory]], {
    encoding: "utf8",
    env: { ...environment, ...variables },
    maxBuffer: 2 ** 26,
  });
}

let text: string;
let bom: Bom;
const all = () => [bom.metadata.component, ...bom.metadata.component.components, ...bom.components];
const nameOf = ({ group, name }: Component) => (group ? `${group}/${name}` : name);
const needed = (reference: string) => bom.dependencies.find(({ ref }) => ref === reference)?.dependsOn ?? [];

beforeAll(() => {
  mkdirSync(join(prebuilds, "linux-x64"), { recursive: true });
  // What compilers leave in such files, and nothing else.
  writeFileSync(join(prebuilds, "linux-x64/medmamba.node"), "\0GCC: (Debian 12.2.0-14) 12.2.0\0");
  writeFileSync(
    join(prebuilds, "linux-x64/libmedmamba_cuda.so"),
    "\0cudart\0Cuda compilation tools, release 13.0, V13.0.88\0GCC: (Debian 12.2.0-14) 12.2.0\0GCC: (GNU) 8.5.0\0",
  );
  mkdirSync(join(prebuilds, "win32-x64"));
  writeFileSync(join(prebuilds, "win32-x64/medmamba.node"), "\0mingw-w64: 10.0.0\0GCC: (GNU) 12-posix\0");
  writeFileSync(join(prebuilds, "SHA256SUMS"), "");
  const { status, stdout, stderr } = write();
  expect(status, stderr).toBe(0);
  text = stdout;
  bom = JSON.parse(text);
});

describe("the list of components", () => {
  it.skipIf(!existsSync(library))("is valid CycloneDX 1.5 by the strict schema", async () => {
    const { Spec, Validation } = createRequire(join(packages, "any.js"))("@cyclonedx/cyclonedx-library");
    const validator = new Validation.JsonStrictValidator(Spec.Version.v1dot5);
    expect(await validator.validate(text)).toBeNull();
    expect(await validator.validate(text.replace('"type": "library"', '"type": "book"'))).not.toBeNull();
  });

  it("has of each component what the schema and its readers require, and no reference twice or to nothing", () => {
    expect(bom).toMatchObject({ bomFormat: "CycloneDX", specVersion: "1.5", version: 1 });
    const references = all().map((component) => component["bom-ref"]);
    expect(new Set(references).size).toBe(references.length);
    for (const { type, name, version, licenses, hashes } of all()) {
      expect(["library", "file"], name).toContain(type);
      expect(version, name).toMatch(/^\d+(\.\d+|$)/);
      expect(licenses, name).toHaveLength(1);
      for (const { alg, content } of hashes ?? [])
        expect(content, name).toMatch(alg === "SHA-512" ? /^[0-9a-f]{128}$/ : /^[0-9a-f]{64}$/);
    }
    expect(bom.dependencies.map(({ ref }) => ref).sort()).toEqual(references.sort());
    for (const { dependsOn } of bom.dependencies)
      for (const reference of dependsOn) expect(references).toContain(reference);
  });

  it("names each package that npm would install, for any platform, once, and no other", () => {
    const { stdout } = spawnSync("npm", ["ls", "--package-lock-only", "--omit=dev", "--all", "--json"], {
      cwd: repository,
      encoding: "utf8",
      shell: process.platform === "win32",
    });
    const installed = new Set<string>();
    const visit = ({ dependencies = {} }: Installed): void => {
      for (const [name, found] of Object.entries(dependencies)) {
        if (found.version) installed.add(`${name}@${found.version}`);
        visit(found);
      }
    };
    visit(JSON.parse(stdout) as Installed);
    const listed = bom.components
      .filter(({ purl }) => purl)
      .map((found) => `${nameOf(found)}@${found.version}`);
    expect(listed.sort()).toEqual([...installed].sort());
    for (const name of ["detect-libc", "node-api-headers", "semver", "yaml", "@img/sharp-win32-x64"])
      expect(listed.some((one) => one.startsWith(`${name}@`))).toBe(true);
  });

  it("has the licenses that packages themselves name, and npm's hashes", () => {
    const lock = JSON.parse(readFileSync(join(repository, "package-lock.json"), "utf8"));
    let compared = 0;
    for (const component of bom.components.filter(({ purl }) => purl)) {
      const place = `node_modules/${nameOf(component)}`;
      const bytes = Buffer.from(component.hashes?.[0]?.content ?? "", "hex");
      expect(`sha512-${bytes.toString("base64")}`).toBe(lock.packages[place].integrity);
      const file = join(repository, place, "package.json");
      if (!existsSync(file)) continue; // another platform's
      const [given] = component.licenses;
      expect(given?.license?.id ?? given?.expression).toBe(JSON.parse(readFileSync(file, "utf8")).license);
      compared++;
    }
    expect(compared).toBeGreaterThan(20);
  });

  it("tells what is linked into native files, with their hashes", () => {
    const [addon] = bom.metadata.component.components.filter(({ name }) =>
      name.endsWith("linux-x64/medmamba.node"),
    );
    expect(addon?.hashes).toEqual([{ alg: "SHA-256", content: expect.stringMatching(/^[0-9a-f]{64}$/) }]);
    expect(needed("file:prebuilds/linux-x64/medmamba.node")).toEqual([
      "gcc/libgcc@12.2.0",
      "gcc/libstdc++@12.2.0",
      expect.stringMatching(/^pkg:npm\/node-addon-api@/),
      expect.stringMatching(/^pkg:npm\/node-api-headers@/),
    ]);
    expect(needed("file:prebuilds/linux-x64/libmedmamba_cuda.so")).toEqual([
      "gcc/libgcc@12.2.0",
      "gcc/libstdc++@12.2.0",
      "nvidia/cudart@13.0",
    ]);
    expect(needed("file:prebuilds/win32-x64/medmamba.node")).toEqual([
      "gcc/libgcc@12",
      "gcc/libstdc++@12",
      "mingw-w64/crt@10.0.0",
      "mingw-w64/winpthreads@10.0.0",
      expect.stringMatching(/^pkg:npm\/node-addon-api@/),
      expect.stringMatching(/^pkg:npm\/node-api-headers@/),
    ]);
    expect(all().some(({ name }) => name.includes("SHA256SUMS"))).toBe(false);
  });

  it("tells what the CommonJS build has copies of", () => {
    const copies = needed("file:dist/cjs/index.js").map((reference) => /npm\/(.+)@/.exec(reference)?.[1]);
    expect(copies).toEqual(expect.arrayContaining(["d3-array", "d3-scale", "d3-shape"]));
    expect(copies).not.toContain("sharp");
  });

  it("is the same whenever it is written, but for a time that was asked for", () => {
    expect(write().stdout).toBe(text);
    const dated = JSON.parse(write({ SOURCE_DATE_EPOCH: "1700000000" }).stdout) as Bom;
    expect(dated.metadata.timestamp).toBe("2023-11-14T22:13:20.000Z");
    expect(bom.metadata).not.toHaveProperty("timestamp");
    expect(text).not.toContain("serialNumber");
  });

  it("is refused without native files or with a time that is none", () => {
    expect(write({}, join(root, "nowhere"))).toMatchObject({ status: 1, stdout: "" });
    expect(write({ SOURCE_DATE_EPOCH: "today" }).stderr).toContain(
      'SOURCE_DATE_EPOCH has to be seconds since 1970, not "today"',
    );
  });
});
