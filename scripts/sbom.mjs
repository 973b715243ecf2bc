// Lists what the published package consists of and depends on, as CycloneDX 1.5 (https://cyclonedx.org/docs/1.5/json/).
//
//   node scripts/sbom.mjs [--prebuilds DIRECTORY] > sbom.cdx.json
//
// In it are the native files with their SHA-256 and what is linked into them (GCC's libraries, MinGW-w64's, NVIDIA's CUDA runtime), read from
// the files themselves; what the CommonJS build has copies of; and every package of package-lock.json that a user's `npm
// install` may bring, on any platform, with license and SHA-512. The same files give the same bytes: there is no serial number,
// and a time only if SOURCE_DATE_EPOCH (seconds, https://reproducible-builds.org/specs/source-date-epoch) says it.
//
// Not `npm sbom --omit dev`, which forgets each package that a development dependency asks for, too (detect-libc,
// node-api-headers, semver, yaml), and all of other platforms; nor cyclonedx-npm, which finds them, but needs 177 packages and
// knows neither hashes of packages that a lock file has nor native code.
import { existsSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { hashesOf } from "./checksums.mjs";

const root = resolve(import.meta.dirname, "..");
const commonjs = "dist/cjs/index.js";
const { values } = parseArgs({
  options: { prebuilds: { type: "string", default: join(root, "prebuilds") } },
});
const lock = JSON.parse(readFileSync(join(root, "package-lock.json"), "utf8")).packages;
const own = lock[""];

const packages = packagesOf();
const delivered = [...nativeFiles(resolve(values.prebuilds)), commonjsBuild()];
const parts = uniqueParts(delivered.flatMap(({ inside }) => inside));
const ownReference = purl(own.name, own.version);

process.stdout.write(
  `${JSON.stringify(
    {
      $schema: "http://cyclonedx.org/schema/bom-1.5.schema.json",
      bomFormat: "CycloneDX",
      specVersion: "1.5",
      version: 1,
      metadata: {
        ...time(),
        tools: {
          components: [{ type: "application", name: "medmamba/scripts/sbom.mjs", version: own.version }],
        },
        component: {
          type: "library",
          "bom-ref": ownReference,
          name: own.name,
          version: own.version,
          licenses: licenses(own.license),
          purl: ownReference,
          components: delivered.map(({ component }) => component),
        },
      },
      components: [...packages.values(), ...parts].sort(byReference),
      dependencies: dependencies(),
    },
    null,
    2,
  )}\n`,
);

/** The components of all packages that are no matter of development alone, by their places in node_modules. */
function packagesOf() {
  const found = new Map();
  for (const [place, entry] of Object.entries(lock)) {
    if (place === "" || entry.dev) continue;
    const name = nameOf(place);
    const [group, short] = name.startsWith("@") ? name.split("/") : [undefined, name];
    const [algorithm, digest] = entry.integrity.split("-");
    found.set(place, {
      type: "library",
      "bom-ref": purl(name, entry.version),
      ...(group && { group }),
      name: short,
      version: entry.version,
      scope: entry.optional ? "optional" : "required",
      hashes: [
        {
          alg: algorithm.replace("sha", "SHA-"),
          content: Buffer.from(digest, "base64").toString("hex"),
        },
      ],
      licenses: licenses(entry.license),
      purl: purl(name, entry.version),
    });
  }
  return found;
}

/** Each native file: its component, and the parts and packages that are linked into it. */
function nativeFiles(directory) {
  const files = hashesOf(directory);
  if (files.length === 0)
    fail(`there are no native files in ${directory}: build them with \`npm run prebuilds\``);
  return files.map(({ path, hash }) => {
    const text = readFileSync(join(directory, path), "latin1");
    const inside = linkedInto(text);
    // Node-API's C++ wrapper is headers alone, which are compiled into the addon.
    if (path.endsWith(".node")) inside.push(...["node-addon-api", "node-api-headers"].map(installed));
    return { component: file(`prebuilds/${path}`, hash), inside };
  });
}

/** What a library says of what is in it: each object names its compiler, native/windows its runtime, CUDA's code the toolkit. */
function linkedInto(text) {
  const found = [];
  const compiler = /GCC: \([^)]*\) ([\d.]+)/.exec(text)?.[1]; // the first is of our objects, further ones of cudart's
  if (compiler)
    for (const name of ["libstdc++", "libgcc"])
      found.push({
        type: "library",
        "bom-ref": `gcc/${name}@${compiler}`,
        group: "gcc",
        name,
        version: compiler,
        scope: "required",
        description: `GCC's ${name}, linked statically`,
        licenses: [{ expression: "GPL-3.0-or-later WITH GCC-exception-3.1" }],
      });
  const runtime = /mingw-w64: ([\d.]+)/.exec(text)?.[1];
  if (runtime)
    for (const [name, license] of [
      ["crt", "ZPL-2.1"],
      ["winpthreads", "MIT AND BSD-3-Clause"],
    ])
      found.push({
        type: "library",
        "bom-ref": `mingw-w64/${name}@${runtime}`,
        group: "mingw-w64",
        name,
        version: runtime,
        scope: "required",
        description: `MinGW-w64's ${name}, linked statically`,
        licenses: [{ expression: license }],
      });
  const toolkit = text.includes("cudart") && /Cuda compilation tools, release ([\d.]+)/.exec(text)?.[1];
  if (toolkit)
    found.push({
      type: "library",
      "bom-ref": `nvidia/cudart@${toolkit}`,
      group: "nvidia",
      name: "cudart",
      version: toolkit,
      scope: "required",
      description:
        "NVIDIA's CUDA runtime (libcudart_static), linked statically; the version is the toolkit's",
      licenses: [
        { license: { name: "NVIDIA CUDA Toolkit EULA", url: "https://docs.nvidia.com/cuda/eula/" } },
      ],
    });
  return found;
}

/** The build for old `require`, and the packages that esbuild has put inside, which it names in comments. */
function commonjsBuild() {
  const path = join(root, commonjs);
  if (!existsSync(path)) fail(`${commonjs} is not there: build it with \`npm run build:ts\``);
  const [{ hash }] = hashesOf(join(root, "dist/cjs")).filter((found) => found.path === "index.js");
  const names = readFileSync(path, "utf8").matchAll(
    /^ *\/\/ (?:\.\.\/)*node_modules\/((?:@[^/\n]+\/)?[^/\n]+)\//gm,
  );
  const inside = [...new Set([...names].map(([, name]) => name))].sort();
  return { component: file(commonjs, hash), inside: inside.map(installed) };
}

function file(name, hash) {
  return {
    type: "file",
    "bom-ref": `file:${name}`,
    name,
    version: own.version,
    hashes: [{ alg: "SHA-256", content: hash }],
    licenses: licenses(own.license),
  };
}

/** The component of a package that is directly in node_modules. */
function installed(name) {
  return (
    packages.get(`node_modules/${name}`) ?? fail(`${name} is in the package, but not in package-lock.json`)
  );
}

/** What several files have in common is one component; packages are listed already. */
function uniqueParts(inside) {
  const known = new Set([...packages.values()].map((component) => component["bom-ref"]));
  return [...new Map(inside.map((part) => [part["bom-ref"], part])).values()].filter(
    (part) => !known.has(part["bom-ref"]),
  );
}

/** Who needs whom: this package its dependencies and files, a file what is in it, a package what npm gives it. */
function dependencies() {
  const rows = new Map();
  const add = (reference, needed) =>
    rows.set(reference, [...new Set([...(rows.get(reference) ?? []), ...needed])].sort());
  add(ownReference, [...neededBy("", own), ...delivered.map(({ component }) => component["bom-ref"])]);
  for (const { component, inside } of delivered)
    add(
      component["bom-ref"],
      inside.map((part) => part["bom-ref"]),
    );
  for (const [place, component] of packages) add(component["bom-ref"], neededBy(place, lock[place]));
  for (const part of parts) add(part["bom-ref"], []);
  return [...rows].sort(([a], [b]) => compare(a, b)).map(([ref, dependsOn]) => ({ ref, dependsOn }));
}

/** What a package at a place in node_modules finds for its dependencies: the nearest one, from there upwards. */
function neededBy(place, { dependencies = {}, optionalDependencies = {}, peerDependencies = {} }) {
  return Object.keys({ ...dependencies, ...optionalDependencies, ...peerDependencies }).flatMap((name) => {
    for (let at = place; ; at = at.slice(0, Math.max(0, at.lastIndexOf("node_modules/") - 1))) {
      const found = packages.get(`${at ? `${at}/` : ""}node_modules/${name}`);
      if (found) return [found["bom-ref"]];
      if (at === "") return []; // an optional one that npm found for no platform
    }
  });
}

function licenses(license) {
  if (!license) fail("a package has no license in package-lock.json");
  return [/\s/.test(license) ? { expression: license } : { license: { id: license } }];
}

function time() {
  const seconds = process.env.SOURCE_DATE_EPOCH;
  if (!seconds) return {};
  if (!/^\d{1,11}$/.test(seconds)) fail(`SOURCE_DATE_EPOCH has to be seconds since 1970, not "${seconds}"`);
  return { timestamp: new Date(Number(seconds) * 1000).toISOString() };
}

/** https://github.com/package-url/purl-spec: the @ of a scope is written %40. */
function purl(name, version) {
  return `pkg:npm/${name.replace("@", "%40")}@${version}`;
}

function nameOf(place) {
  return place.slice(place.lastIndexOf("node_modules/") + "node_modules/".length);
}

function byReference(a, b) {
  return compare(a["bom-ref"], b["bom-ref"]);
}

/** By code units, which no locale changes. */
function compare(a, b) {
  return a < b ? -1 : Number(a > b);
}

function fail(problem) {
  console.error(`sbom: ${problem}`);
  process.exit(1);
}
