/** Starting from the weights of another training. */
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import {
  data,
  initialWeights,
  MedMamba,
  safetensors,
  saveCheckpoint,
  WeightsError,
} from "../../src/index.js";
import { failure } from "../support/failure.js";
import { tinyModel, tinyOptions } from "../support/sides.js";
import { root, write } from "../support/temporary-folder.js";

const preprocessing = data.definePreprocessing({ imageSize: 32, channels: 1 });

describe("initialWeights", () => {
  it("takes all layers where the classes are as many, the head's own where not", async () => {
    const source = tinyModel({ seed: 1 });
    const path = join(root, "source.safetensors");
    await saveCheckpoint(path, source.stateDict(), {
      config: source.config,
      classes: ["a", "b"],
      preprocessing,
    });
    const [same, more] = [tinyModel({ seed: 2 }), tinyModel({ seed: 3, numClasses: 5 })];
    const head = await more.stateDict()["head.weight"]!.data();
    expect(await initialWeights(path, same)).toEqual({ head: true, classes: 2 });
    expect(await initialWeights(path, more)).toEqual({ head: false, classes: 2 });
    for (const [name, weight] of Object.entries(source.stateDict())) {
      expect(await same.stateDict()[name]!.data()).toEqual(await weight.data());
      if (!name.startsWith("head."))
        expect(await more.stateDict()[name]!.data()).toEqual(await weight.data());
    }
    expect(await more.stateDict()["head.weight"]!.data()).toEqual(head);
  });

  it("changes nothing where it throws", async () => {
    const wide = new MedMamba({ ...tinyOptions, dims: [32, 64, 128, 256] });
    const path = join(root, "wide.safetensors");
    await safetensors.save(path, wide.stateDict());
    const model = tinyModel({ seed: 4 });
    const before = await model.stateDict()["patch_embed.proj.weight"]!.data();
    const live = model.device.memory().tensors;
    expect(await failure(WeightsError, initialWeights(path, model))).toMatch(
      /^\/wide.safetensors: the weights are of another model: .* of another shape/,
    );
    expect(
      await failure(WeightsError, initialWeights(await write("none.safetensors", "no weights"), model)),
    ).toMatch(/none.safetensors/);
    expect(await model.stateDict()["patch_embed.proj.weight"]!.data()).toEqual(before);
    expect(model.device.memory().tensors).toBe(live);
  });
});
