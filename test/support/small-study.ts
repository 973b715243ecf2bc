/** Whole runs in a second: two classes of small pictures, and a network of a few thousand weights. */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { openDevice } from "../../src/index.js";
import { carryOut, type StudyOutcome, type StudyProgress } from "../../src/study/carry-out.js";
import { planStart } from "../../src/study/run-directory.js";
import type { RunOptions } from "../../src/study/run-plan.js";
import { picture } from "./temporary-folder.js";

export const smallRecipe = {
  imageSize: 16,
  channels: 1,
  dims: [4, 8],
  depths: [1, 1],
  batchSize: 8,
  epochs: 2,
} as const satisfies RunOptions;

/** The same for the command line. */
export const smallArguments = [
  ..."--image-size 16 --channels 1 --dims 4,8 --depths 1,1 --batch-size 8".split(" "),
  ..."--epochs 2 --device cpu --threads 1".split(" "),
];

/** Writes `count` pictures of each class, all different; others for another `seed`. */
export async function writeScans(folder: string, { count = 12, seed = 0 } = {}): Promise<string> {
  for (const [label, name] of ["benign", "malignant"].entries()) {
    await mkdir(join(folder, name), { recursive: true });
    for (let i = 0; i < count; ++i) {
      const value = (x: number) =>
        (x * (label ? 7 : 3) + i * 31 + seed * 97 + ((x * x * (i + seed + 1)) % 13)) % 256;
      await writeFile(join(folder, name, `${String(i).padStart(2, "0")}.png`), await picture(16, value));
    }
  }
  return folder;
}

export interface SmallStudy {
  readonly resume?: boolean;
  readonly overwrite?: boolean;
  /** After this many steps the run is stopped. */
  readonly steps?: number;
  readonly onProgress?: (progress: StudyProgress) => void;
}

/** Plans a run and carries it out. */
export async function study(
  directory: string,
  options: RunOptions,
  { resume, overwrite, steps, onProgress }: SmallStudy = {},
): Promise<StudyOutcome> {
  const start = await planStart(directory, options, { resume, overwrite });
  const controller = new AbortController();
  let done = 0;
  return carryOut(start, {
    device: openDevice("cpu", { threads: 1 }),
    signal: controller.signal,
    onProgress: (progress) => {
      if (progress.type === "step" && ++done === steps) controller.abort();
      onProgress?.(progress);
    },
  });
}
