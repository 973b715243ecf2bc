/** Checkpoints of networks that are no MedMamba: what they say can be read, and how their weights are loaded is said. */
import { join } from "node:path";
import { expect, it } from "vitest";
import {
  data,
  globalAveragePool,
  type ImageClassifier,
  loadCheckpoint,
  loadWeights,
  nn,
  permute,
  readCheckpoint,
  saveCheckpoint,
  type Tensor,
  WeightsError,
} from "../../src/index.js";
import { failure } from "../support/failure.js";
import { root } from "../support/temporary-folder.js";

class Own extends nn.Module implements ImageClassifier {
  readonly config = { numClasses: 2, width: 3 };
  readonly #head = this.child("head", new nn.Linear(1, 2));

  get device() {
    return this.#head.weight.device;
  }

  override forward(images: Tensor): Tensor {
    return this.#head.forward(globalAveragePool(permute(images, [0, 2, 3, 1])));
  }
}

it("says to use loadWeights, which loads them", async () => {
  const path = join(root, "own.safetensors");
  const own = new Own();
  const preprocessing = data.definePreprocessing({ imageSize: 8, channels: 1 });
  const description = { config: own.config as never, classes: ["no", "yes"], preprocessing };
  await saveCheckpoint(path, own.stateDict(), description);
  expect(await failure(WeightsError, loadCheckpoint(path))).toBe(
    `/own.safetensors: this checkpoint holds another network than MedMamba, which only its own program can make: make it there and call loadWeights(path, model).`,
  );
  expect(await readCheckpoint(path)).toMatchObject({
    config: own.config,
    classes: ["no", "yes"],
    preprocessing,
  });
  const other = new Own();
  await loadWeights(path, other);
  const weights = (model: Own) => model.stateDict()["head.weight"]?.data();
  expect(await weights(other)).toEqual(await weights(own));
});
