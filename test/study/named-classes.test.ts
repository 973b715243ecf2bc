/** A run on an archive whose classes were numbers when it began, and have names today. */
import { rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { zipSync } from "fflate";
import { expect, it } from "vitest";
import { readCheckpoint } from "../../src/index.js";
import { npy } from "../support/npy.js";
import { smallRecipe, study } from "../support/small-study.js";
import { root } from "../support/temporary-folder.js";

/** Of 16 x 16 pixels, all different. */
function archive(): Uint8Array {
  const arrays = Object.entries({ train: 16, val: 6, test: 6 }).flatMap(([split, count], part) => [
    [
      `${split}_images.npy`,
      npy(
        "|u1",
        [count, 16, 16],
        Uint8Array.from(
          { length: count * 256 },
          (_, i) => (i * 7 + Math.floor(i / 256) * 31 + part * 97) % 256,
        ),
      ),
    ],
    [
      `${split}_labels.npy`,
      npy(
        "|u1",
        [count, 1],
        Uint8Array.from({ length: count }, (_, i) => i % 2),
      ),
    ],
  ]);
  return zipSync(Object.fromEntries(arrays));
}

it("is resumed with the classes that it began with", async () => {
  const [before, today] = [join(root, "lungs.npz"), join(root, "pneumoniamnist.npz")];
  await writeFile(before, archive());
  const directory = join(root, "run");
  await study(directory, { ...smallRecipe, data: before }, { steps: 1 });
  await rename(before, today);
  const { result, checkpoint } = await study(directory, { data: today }, { resume: true });
  expect(result.history).toHaveLength(2);
  expect((await readCheckpoint(checkpoint)).classes).toEqual(["0", "1"]);
  const anew = await study(join(root, "anew"), { ...smallRecipe, data: today });
  expect((await readCheckpoint(anew.checkpoint)).classes).toEqual(["normal", "pneumonia"]);
  const losses = (history: typeof result.history) => history.map(({ trainLoss }) => trainLoss);
  expect(losses(result.history)).toEqual(losses(anew.result.history));
});
