/** Starting from the weights of another training. */
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import {
  data,
  initialWeights,
  MedMamba,
  openDevice,
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

  it("takes the head where the classes have the same names, row by row, and never calls one by another's name", async () => {
    const source = tinyModel({ seed: 1, numClasses: 3 });
    const path = join(root, "named.safetensors");
    const classes = ["cyst", "mass", "normal"];
    await saveCheckpoint(path, source.stateDict(), { config: source.config, classes, preprocessing });
    const taken = async (names: readonly string[]) => {
      const model = tinyModel({ seed: 2, numClasses: names.length });
      const own = await model.stateDict()["head.weight"]!.data();
      const outcome = await initialWeights(path, model, { classes: names });
      const { "head.weight": weight, "head.bias": bias } = model.stateDict();
      return { outcome, own, weight: await weight!.data(), bias: await bias!.data() };
    };
    const weight = await source.stateDict()["head.weight"]!.data();
    const bias = await source.stateDict()["head.bias"]!.data();

    const same = await taken(classes);
    expect(same.outcome).toEqual({ head: true, classes: 3 });
    expect(same.weight).toEqual(weight);

    const turned = await taken(["normal", "cyst", "mass"]);
    expect(turned.outcome).toEqual({ head: true, classes: 3, named: classes });
    const width = weight.length / 3;
    const row = (i: number) => [...weight.subarray(i * width, (i + 1) * width)];
    expect([...turned.weight]).toEqual([...row(2), ...row(0), ...row(1)]);
    expect([...turned.bias]).toEqual([bias[2], bias[0], bias[1]]);

    for (const others of [
      ["glioma", "mass", "normal"],
      ["cyst", "mass"],
    ]) {
      const anew = await taken(others);
      expect(anew.outcome).toEqual({ head: false, classes: 3, named: classes });
      expect(anew.weight).toEqual(anew.own);
    }
  });

  it.each(["module.", "_orig_mod.", "module._orig_mod.", "model."])(
    "takes names behind %s",
    async (prefix) => {
      const source = tinyModel({ seed: 1 });
      const path = join(root, `${prefix}safetensors`);
      const wrapped = Object.entries(source.stateDict()).map(([name, weight]) => [prefix + name, weight]);
      await safetensors.save(path, Object.fromEntries(wrapped));
      const [model, more] = [tinyModel({ seed: 2 }), tinyModel({ seed: 3, numClasses: 5 })];
      expect(await initialWeights(path, model)).toEqual({ head: true, classes: 2 });
      expect(await initialWeights(path, more)).toEqual({ head: false, classes: 2 });
      for (const [name, weight] of Object.entries(source.stateDict()))
        expect(await model.stateDict()[name]!.data()).toEqual(await weight.data());
    },
  );

  it("keeps the model's counters of batches where the file has none, and refuses anything else that is missing", async () => {
    const state = tinyModel({ seed: 1 }).stateDict();
    const without = (end: string) =>
      Object.fromEntries(Object.entries(state).filter(([name]) => !name.endsWith(end)));
    const path = join(root, "no-counters.safetensors");
    await safetensors.save(path, without("num_batches_tracked"));
    expect(await initialWeights(path, tinyModel({ seed: 2 }))).toEqual({ head: true, classes: 2 });
    await safetensors.save(path, without("running_var"));
    expect(await failure(WeightsError, initialWeights(path, tinyModel({ seed: 2 })))).toMatch(/running_var/);
  });

  it("changes nothing where it throws", async () => {
    const wide = new MedMamba({ ...tinyOptions, dims: [32, 64, 128, 256] });
    const path = join(root, "wide.safetensors");
    await safetensors.save(path, wide.stateDict());
    const model = new MedMamba({ ...tinyOptions, device: openDevice("cpu") });
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
