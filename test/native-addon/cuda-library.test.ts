/**
 * Which CUDA library is loaded for which driver, and what is said where none will do: with the fake driver of
 * test/native/fakes, which has no GPU, so that nothing but its version matters.
 */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { copyFile, mkdir, symlink } from "node:fs/promises";
import { basename, join } from "node:path";
import { describe, expect, it } from "vitest";
import { addonPath, backendLibrary } from "../../src/native/load.js";
import { packageRoot } from "../../src/native/package-root.js";
import { root as temporary } from "../support/temporary-folder.js";

const fakes = join(packageRoot, "build", "fakes");
const runsFakes = process.platform === "linux" && process.arch === "x64";

/** The CUDA that a driver supports, by the driver's version. */
const drivers = {
  "440": 10020,
  "450": 11000,
  "470": 11040,
  "525": 12000,
  "570": 12080,
  "580": 13000,
  "a later one": 13020,
} as const;
type Driver = keyof typeof drivers;

let packages = 0;
/** A package whose folder of native files has these, each a copy or a link of another file. */
async function packageWith(libraries: Readonly<Record<string, string>>): Promise<string> {
  const root = join(temporary, `package with libraries ${packages++}`);
  const folder = join(root, "build", "Release");
  await mkdir(folder, { recursive: true });
  await symlink(addonPath(), join(folder, "medmamba.node"));
  for (const [name, file] of Object.entries(libraries)) await copyFile(file, join(folder, `lib${name}.so`));
  return root;
}

/** For each of `names`, what `expression` is in a process with the package and the driver, whose start fails with `error`. */
function withDrivers(
  root: string,
  expression: string,
  { names = Object.keys(drivers) as Driver[], installed = fakes, error = 100 } = {},
): Record<string, string> {
  const program = `
    import { basename } from "node:path";
    import { cudaLibrary } from ${JSON.stringify(join(packageRoot, "dist/native/cuda-library.js"))};
    import { loadAddon } from ${JSON.stringify(join(packageRoot, "dist/native/load.js"))};
    const reason = () => { try { loadAddon().deviceCount(cudaLibrary()); } catch (error) { return error.message; } };
    const answers = {};
    for (const name of ${JSON.stringify(names)}) {
      process.env.FAKE_DRIVER_CUDA = String(${JSON.stringify(drivers)}[name]);
      answers[name] = ${expression};
    }
    console.log(JSON.stringify(answers));`;
  const { stdout, stderr } = spawnSync(process.execPath, ["--input-type=module", "--eval", program], {
    encoding: "utf8",
    env: {
      ...process.env,
      LD_LIBRARY_PATH: installed,
      MEDMAMBA_PREBUILD: root,
      FAKE_DRIVER_ERROR: String(error),
    },
  });
  expect(stderr).toBe("");
  return JSON.parse(stdout) as Record<string, string>;
}

const fakeBackend = join(fakes, "libfake_backend.so");
const [newest, of12, of11] = ["medmamba_cuda", "medmamba_cuda12", "medmamba_cuda11"].map(
  (name) => `lib${name}.so`,
) as [string, string, string];

describe.runIf(runsFakes)("the CUDA library for a driver", () => {
  const chosen = "basename(cudaLibrary())";

  it("is, of those that npm delivers, that of CUDA 13 from driver 580 on, for older ones that of CUDA 11", async () => {
    const root = await packageWith({ medmamba_cuda: fakeBackend, medmamba_cuda11: fakeBackend });
    expect(withDrivers(root, chosen)).toEqual({
      "440": of11, // which says what it needs
      "450": of11,
      "470": of11,
      "525": of11,
      "570": of11,
      "580": newest,
      "a later one": newest,
    });
  });

  it("is the newest that runs, where toolkits made several", async () => {
    const libraries = {
      medmamba_cuda: fakeBackend,
      medmamba_cuda12: fakeBackend,
      medmamba_cuda11: fakeBackend,
    };
    const root = await packageWith(libraries);
    expect(withDrivers(root, chosen)).toMatchObject({
      "450": of11,
      "470": of11,
      "525": of12,
      "570": of12,
      "580": newest,
    });
  });

  it("is the only one that is there, whatever the driver", async () => {
    for (const name of ["medmamba_cuda", "medmamba_cuda11"]) {
      const root = await packageWith({ [name]: fakeBackend });
      expect(new Set(Object.values(withDrivers(root, chosen)))).toEqual(new Set([`lib${name}.so`]));
    }
  });

  it("is missing where the newest would be", async () => {
    expect(withDrivers(await packageWith({}), chosen)).toMatchObject({ "470": newest, "580": newest });
  });

  it.skipIf(existsSync("/usr/lib/x86_64-linux-gnu/libcuda.so.1"))(
    "is the one that asks for the least where there is no driver",
    async () => {
      const root = await packageWith({ medmamba_cuda: fakeBackend, medmamba_cuda11: fakeBackend });
      expect(withDrivers(root, chosen, { installed: "" })).toMatchObject({ "580": of11 });
    },
  );
});

/** Built here, or undefined, which is said. */
function built(name: "medmamba_cuda" | "medmamba_cuda11" | "medmamba_cuda12"): string | undefined {
  const library = backendLibrary(name);
  if (existsSync(library)) return library;
  console.warn(`${basename(library)} has not been built: what it says of drivers is not tested.`);
  return undefined;
}

const hidden = "the NVIDIA driver finds no GPU; CUDA_VISIBLE_DEVICES may hide it";
const notLoaded =
  'the NVIDIA driver\'s library is installed, but its kernel module is not loaded: "sudo modprobe nvidia" loads it, ' +
  "or a restart of the machine";
const notHanded =
  "the NVIDIA driver runs, but no GPU was handed to this container (there is no /dev/nvidiactl): start it " +
  'with "--gpus all"';
const hasModule = existsSync("/dev/dxg") || existsSync("/proc/driver/nvidia/version");
const hasDevices = existsSync("/dev/dxg") || existsSync("/dev/nvidiactl");
/** Of a driver's library that finds no GPU, by what this machine has beside it. */
const noGpu = !hasModule ? notLoaded : !hasDevices ? notHanded : hidden;

describe.runIf(runsFakes)("what is said of a driver", () => {
  const ofCuda13 = built("medmamba_cuda");
  const ofCuda11 = built("medmamba_cuda11");

  // CUDA's runtime asks a driver for its version once a process.
  const said = (root: string, name: Driver) => withDrivers(root, "reason()", { names: [name] })[name];

  it.skipIf(!ofCuda13)("by the library of CUDA 13: older ones than 580 do not run it", async () => {
    const root = await packageWith({ medmamba_cuda: ofCuda13! });
    expect(said(root, "570")).toMatch(
      /^the NVIDIA driver( \S+)? supports CUDA 12\.8, this build needs 13\.0 \(driver 580 or newer\)$/,
    );
    expect(said(root, "580")).toBe(noGpu);
    expect(said(root, "a later one")).toBe(noGpu);
  });

  it.skipIf(!ofCuda11)("by the library of CUDA 11: it runs on all since 450", async () => {
    const root = await packageWith({ medmamba_cuda11: ofCuda11! });
    expect(said(root, "440")).toMatch(
      /^the NVIDIA driver( \S+)? supports CUDA 10\.2, this build needs 11\.0 \(driver 450\.80\.02 or newer\)$/,
    );
    for (const name of ["450", "470", "525", "570", "580"] as const) expect(said(root, name)).toBe(noGpu);
  });

  it.skipIf(!ofCuda13 || !ofCuda11)(
    "by both: the toolkit's library, made to link programs, is no driver",
    async () => {
      const root = await packageWith({ medmamba_cuda: ofCuda13!, medmamba_cuda11: ofCuda11! });
      for (const name of ["570", "580"] as const)
        expect(withDrivers(root, "reason()", { names: [name], error: 34 })[name]).toBe(
          "the libcuda.so.1 that was loaded is the CUDA toolkit's, which is there to link programs and finds no GPU: " +
            "take its folder off LD_LIBRARY_PATH, and install the NVIDIA driver",
        );
    },
  );
});
