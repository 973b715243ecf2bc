/** Going on destroys nothing: an earlier run stays until another one can begin. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { StudyError } from "../../src/errors.js";
import { ArgumentError, loadCheckpoint, WeightsError } from "../../src/index.js";
import { planStart } from "../../src/study/run-directory.js";
import { readTensors, writeTensors } from "../../src/weights/safetensors.js";
import { failure } from "../support/failure.js";
import { smallRecipe, study, writeScans } from "../support/small-study.js";
import { root } from "../support/temporary-folder.js";

const data = join(root, "scans");
const options = { ...smallRecipe, data };

/** All files of a folder with their contents. */
const contents = (folder: string) =>
  Object.fromEntries(
    readdirSync(folder).map((file) => [file, readFileSync(join(folder, file)).toString("latin1")]),
  );

beforeAll(() => writeScans(data));

describe("--resume", () => {
  it("keeps a finished run whose last.safetensors is gone, and says what to do", async () => {
    const directory = join(root, "finished");
    await study(directory, options);
    rmSync(join(directory, "last.safetensors"));
    const before = contents(directory);
    expect(Object.keys(before)).toContain("report.html");
    const message = await failure(StudyError, study(directory, {}, { resume: true }));
    expect(message).toMatch(/holds best.safetensors, metrics.jsonl, .*report.html.* but no last.safetensors/);
    expect(message).toMatch(/--init .*best.safetensors .*--overwrite/);
    expect(contents(directory)).toEqual(before);
  });

  it("begins a run again that was stopped before its first checkpoint", async () => {
    const directory = join(root, "begun");
    await study(directory, options, { steps: 1 });
    rmSync(join(directory, "last.safetensors"));
    const { result } = await study(directory, {}, { resume: true });
    expect(result.stopped).toBe("completed");
  });
});

describe("a run whose files were edited", () => {
  const directory = join(root, "edited");
  const plan = join(directory, "run.json");
  beforeAll(() => study(directory, options));

  it.each<[string, (saved: Record<string, unknown>) => unknown, RegExp]>([
    ["null", () => null, /it is no object/],
    ["a list", () => [], /it is no object/],
    ["nothing in it", () => ({}), /data is no path/],
    ["a number for the data", (saved) => ({ ...saved, data: 7 }), /data is no path/],
    ["no preprocessing", ({ preprocessing: _, ...saved }) => saved, /preprocessing is missing/],
    ["a word for the limits", (saved) => ({ ...saved, limits: "x" }), /limits is no object/],
    [
      "other contents",
      (saved) => ({ ...saved, contents: { classes: 7 } }),
      /contents is not what a run keeps/,
    ],
    ["a setting that cannot be", (saved) => ({ ...saved, settings: { lr: "fast" } }), /lr "fast" must be/],
  ])("is said to be damaged, with %s", async (_, edit, problem) => {
    const before = readFileSync(plan, "utf8");
    writeFileSync(plan, JSON.stringify(edit(JSON.parse(before))));
    const message = await failure(StudyError, study(directory, {}, { resume: true }));
    writeFileSync(plan, before);
    expect(message).toMatch(/^\/edited\/run.json is damaged: .*Put back what was there, or .* --init/);
    expect(message).toMatch(problem);
  });

  it("with other epochs is extended, and keeps where that was", async () => {
    const before = JSON.parse(readFileSync(plan, "utf8"));
    before.settings.epochs = 3;
    writeFileSync(plan, JSON.stringify(before));
    expect((await study(directory, {}, { resume: true })).result.history).toHaveLength(3);
    expect(JSON.parse(readFileSync(plan, "utf8")).extensions).toEqual([{ epochs: 2, epoch: 2, batch: 0 }]);
  });

  it("whose best weights are gone is told so before anything is trained", async () => {
    rmSync(join(directory, "best.safetensors"));
    expect(await failure(StudyError, study(directory, { epochs: 9 }, { resume: true }))).toMatch(
      /best.safetensors is gone, the weights of the run's best epoch, \d: put it back, or .* --init .*last.safetensors/,
    );
  });
});

describe("a run's folder", () => {
  const directory = join(root, "shared");
  const lock = join(directory, "run.lock");
  const locked = (pid: number, host = hostname()) => {
    mkdirSync(directory, { recursive: true });
    writeFileSync(lock, JSON.stringify({ pid, host, since: "2026-01-01T00:00:00.000Z" }));
  };

  it("is one process's at a time", async () => {
    const other = spawn(process.execPath, ["-e", "setInterval(() => {}, 1000)"]);
    await once(other, "spawn");
    try {
      locked(other.pid!);
      expect(await failure(StudyError, study(directory, options))).toMatch(
        new RegExp(`^a run is being carried out in /shared by process ${other.pid} on .*: wait for it`),
      );
      expect(readdirSync(directory)).toEqual(["run.lock"]);
    } finally {
      other.kill("SIGKILL");
      await once(other, "close");
    }
    // Its process is gone now.
    const { result } = await study(directory, options);
    expect(result.stopped).toBe("completed");
    expect(existsSync(lock)).toBe(false);
  });

  it("is not taken from another machine, nor by two runs of this process", async () => {
    locked(1, "elsewhere");
    expect(await failure(StudyError, study(directory, options, { overwrite: true }))).toContain(
      "process 1 on elsewhere",
    );
    rmSync(lock);
    const both = await Promise.allSettled([
      study(join(root, "both"), options),
      study(join(root, "both"), options),
    ]);
    expect(both.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected"]);
  });

  it("takes over a lock that was cut off, or left by an earlier process of this number", async () => {
    for (const text of ["", JSON.stringify({ pid: process.pid, host: hostname() })]) {
      writeFileSync(lock, text);
      const { utimes } = await import("node:fs/promises");
      await utimes(lock, new Date(2020, 1), new Date(2020, 1));
      await study(directory, { ...options, epochs: 1 }, { overwrite: true });
      expect(existsSync(lock)).toBe(false);
    }
  });

  it("is not left behind where a run could not begin", async () => {
    const empty = join(root, "empty");
    mkdirSync(empty);
    await expect(study(join(root, "new/deep"), { ...options, data: empty })).rejects.toThrow(
      /has no folders/,
    );
    expect(existsSync(join(root, "new"))).toBe(false);
  });

  it.each([
    ["is the data set", "scans", "scans"],
    ["is inside the data set", "scans/run", "scans"],
    ["has inside it the data set", ".", "scans"],
    ["is inside the data set, through a link", "link/run", "scans"],
  ])("%s: refused", async (what, out, images) => {
    if (!existsSync(join(root, "link"))) symlinkSync(data, join(root, "link"));
    const before = readdirSync(data);
    const start = planStart(join(root, out), { ...options, data: join(root, images) }, {});
    expect(await failure(StudyError, start)).toContain(what.split(",")[0]);
    expect(readdirSync(data)).toEqual(before);
  });
});

describe("a folder with files of a run's names", () => {
  it.each(["report.html", "metrics.jsonl", "roc.svg", "run.json"])(
    "keeps its %s, unless told",
    async (file) => {
      const directory = join(root, `somebodys-${file}`);
      mkdirSync(directory);
      writeFileSync(join(directory, file), "somebody's");
      expect(await failure(StudyError, study(directory, options))).toBe(
        `/somebodys-${file} holds ${file}, which a run would replace: choose another --out, or replace them by --overwrite.`,
      );
      expect(readFileSync(join(directory, file), "utf8")).toBe("somebody's");
      await study(directory, { ...options, epochs: 1 }, { overwrite: true });
    },
  );

  it("is begun in anew where a run was stopped before its first checkpoint", async () => {
    const directory = join(root, "no-checkpoint");
    mkdirSync(directory);
    cpSync(join(root, "edited/run.json"), join(directory, "run.json"));
    const { result } = await study(directory, { ...options, epochs: 1 });
    expect(result.history).toHaveLength(1);
  });
});

describe("--overwrite", () => {
  const directory = join(root, "earlier");
  beforeAll(() => study(directory, options));

  it("does not remove the weights that it shall start from", async () => {
    const before = contents(directory);
    const init = join(directory, "best.safetensors");
    expect(await failure(StudyError, study(directory, { ...options, init }, { overwrite: true }))).toMatch(
      /--init .*best.safetensors belongs to the run that would be replaced in \/earlier: choose another --out/,
    );
    expect(contents(directory)).toEqual(before);
  });

  it.each(["float32", "bfloat16"] as const)(
    "leaves an earlier run where %s weights have a NaN",
    async (dtype) => {
      const init = join(root, `nan-${dtype}.safetensors`);
      const stored = await readTensors(join(directory, "best.safetensors"));
      const damaged = [...stored].map(([name, { shape, dtype: own, data: bytes }]) => {
        if (own !== "float32") return [name, { dtype: own, shape, data: bytes }] as const;
        const values = new Float32Array(bytes.buffer);
        if (name === "patch_embed.proj.weight") values[0] = NaN;
        const halves = Uint16Array.from(new Uint32Array(bytes.buffer), (word) => word >>> 16);
        return [name, { dtype, shape, data: dtype === "float32" ? values : halves }] as const;
      });
      await writeTensors(init, damaged);
      const before = contents(directory);
      expect(
        await failure(WeightsError, study(directory, { ...options, init }, { overwrite: true })),
      ).toMatch(/patch_embed.proj.weight" holds NaN/);
      expect(contents(directory)).toEqual(before);
    },
  );

  it("leaves an earlier run where fit refuses the settings", async () => {
    const before = contents(directory);
    const wrong = { ...options, classWeights: [1, 2, 3] };
    await failure(ArgumentError, study(directory, wrong, { overwrite: true }));
    expect(contents(directory)).toEqual(before);
    (await loadCheckpoint(join(directory, "best.safetensors"))).model.dispose();
  });
});
