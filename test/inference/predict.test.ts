/** Predicting a stream of images: in order, whatever cannot be read, with bounded memory, and the same as evaluation. */
import { join } from "node:path";
import sharp from "sharp";
import { describe, expect, it } from "vitest";
import { ArgumentError, DataError, EvaluationError } from "../../src/errors.js";
import {
  data,
  evaluate,
  type ImageSource,
  predictDataset,
  predictImages,
  predictStream,
  type StreamedPrediction,
} from "../../src/index.js";
import { expectClose } from "../support/closeness.js";
import { failure } from "../support/failure.js";
import { side, sideClasses, sides, tinyModel } from "../support/sides.js";
import { message, root, write } from "../support/temporary-folder.js";

const dataset = sides(40, 6);
const model = tinyModel();
const preprocessing = data.definePreprocessing({ imageSize: side, channels: 1 });
const classifier = { model, classes: sideClasses, preprocessing };

const encoded = await Promise.all(
  Array.from(dataset.labels, async (_, i) => {
    const { data: pixels } = await dataset.sample(i);
    return sharp(pixels as Uint8Array, { raw: { width: side, height: side, channels: 1 } })
      .toColourspace("b-w")
      .png()
      .toBuffer();
  }),
);
const files = await Promise.all(encoded.map((bytes, i) => write(`images/${i}.png`, bytes)));
await write("empty.png", "");

async function collect<S extends ImageSource>(
  stream: AsyncIterable<StreamedPrediction<S>>,
): Promise<StreamedPrediction<S>[]> {
  const all = [];
  for await (const prediction of stream) all.push(prediction);
  return all;
}

/** Sources that count how many have been asked for. */
function counted(sources: readonly string[]) {
  const state = { asked: 0, ended: false };
  async function* generate() {
    try {
      for (const source of sources) {
        state.asked += 1;
        yield source;
      }
    } finally {
      state.ended = true;
    }
  }
  return { state, sources: generate() };
}

describe("a stream of predictions", () => {
  it("has the bits of evaluation in the same batches, from paths and from bytes", async () => {
    const options = { batchSize: 16 };
    const { probabilities } = await evaluate(model, dataset, options);
    expect(await predictDataset(model, dataset, options)).toEqual(probabilities);
    for (const sources of [files, encoded] as ImageSource[][]) {
      const results = await collect(predictStream(classifier, sources, options));
      expect(results.map(({ index }) => index)).toEqual(files.map((_, i) => i));
      expect(results.map(({ source }) => source)).toEqual(sources);
      const own = results.flatMap((result) => (result.error ? [] : Object.values(result.probabilities)));
      expect(Float32Array.from(own)).toEqual(probabilities);
    }
    const predictions = await predictImages(classifier, files, options);
    expect(predictions.flatMap((prediction) => Object.values(prediction.probabilities))).toEqual([
      ...probabilities,
    ]);
    expect(Object.keys(predictions[0] ?? {})).toEqual(["label", "probability", "labels", "probabilities"]);
  });

  it("has the error of an unreadable image in its place, and the others' predictions", async () => {
    const [empty, gone] = [join(root, "empty.png"), join(root, "gone.png")];
    const sources = [empty, ...files.slice(0, 3), gone, ...files.slice(3, 5), empty, gone, gone];
    for (const batchSize of [2, 4, 32]) {
      const results = await collect(predictStream(classifier, sources, { batchSize }));
      expect(results.map(({ source }) => source)).toEqual(sources);
      expect(results.map(({ index }) => index)).toEqual(sources.map((_, i) => i));
      expect(results.map(({ error }) => error?.reason)).toEqual([
        "the file is empty",
        undefined,
        undefined,
        undefined,
        "there is no such file",
        undefined,
        undefined,
        "the file is empty",
        "there is no such file",
        "there is no such file",
      ]);
      expect(results[0]?.error).toBeInstanceOf(DataError);
      expect(results[0]?.error).toMatchObject({
        file: empty,
        message: `${empty} could not be read: the file is empty.`,
      });
      const alone = await predictImages(classifier, files.slice(0, 5));
      const read = results.flatMap((result) => (result.error ? [] : [result.probability]));
      await expectClose(
        Float32Array.from(read),
        Float32Array.from(alone, ({ probability }) => probability),
        { absolute: 1e-6 },
      );
    }
    expect(await message(predictImages(classifier, [...files.slice(0, 3), gone, empty]))).toBe(
      "/gone.png could not be read: there is no such file.",
    );
    const bytes = [encoded[0] as Buffer, Buffer.from("no image")];
    const [, second] = await collect(predictStream(classifier, bytes));
    expect(second?.error?.message).toBe("The image could not be read: it is not an image of a known format.");
  });

  it("asks for no more images than the batches that may wait, and lets go of them when it is left", async () => {
    const many = Array.from({ length: 30 }, (_, i) => files[i % files.length] as string);
    const { state, sources } = counted(many);
    let most = 0;
    let taken = 0;
    for await (const _ of predictStream(classifier, sources, { batchSize: 2, prefetch: 1 })) {
      await new Promise((resolve) => setTimeout(resolve, 5));
      taken += 1;
      most = Math.max(most, state.asked - taken);
      if (taken === 20) break;
    }
    expect(most).toBeLessThanOrEqual(2 * 2);
    expect(state).toEqual({ asked: 20 + 2, ended: true });
  });

  it("gives what is done while the next image is still to come", async () => {
    async function* slowly() {
      yield* files.slice(0, 2);
      await new Promise(() => {});
    }
    const stream = predictStream(classifier, slowly(), { batchSize: 2 });
    expect((await stream.next()).value).toMatchObject({ index: 0, source: files[0] });
    expect((await stream.next()).value).toMatchObject({ index: 1 });
    await stream.return();
  });

  it("ends with what its sources throw, or with the signal's reason", async () => {
    function* broken() {
      yield* files.slice(0, 2);
      throw new Error("the disk is gone");
    }
    const seen: number[] = [];
    const run = async () => {
      for await (const { index } of predictStream(classifier, broken(), { batchSize: 2 })) seen.push(index);
    };
    await expect(run()).rejects.toThrow("the disk is gone");
    expect(seen).toEqual([0, 1]);
    const controller = new AbortController();
    const aborted = async () => {
      for await (const _ of predictStream(classifier, files, { batchSize: 2, signal: controller.signal }))
        controller.abort();
    };
    await expect(aborted()).rejects.toThrow(/abort/);
    expect(await collect(predictStream(classifier, []))).toEqual([]);
    expect(await failure(ArgumentError, predictStream(classifier, "scan.png").next())).toMatch(
      /into an array/,
    );
    expect(await failure(ArgumentError, predictStream(classifier, files, { batchSize: 0 }).next())).toBe(
      "predictStream: batchSize 0 is not an integer of 1 or more.",
    );
  });

  it("takes several pictures of a file where asked, named by their numbers, each file in its place", async () => {
    const raw = (i: number) =>
      dataset.sample(i).then(({ data: pixels }) => Buffer.from(pixels as Uint8Array));
    const shape = { width: side, height: 4 * side, channels: 1, pageHeight: side } as const;
    const pages = Buffer.concat(await Promise.all([0, 1, 2, 3].map(raw)));
    const stacked = sharp(pages, { raw: shape }).toColourspace("b-w").tiff({ compression: "none" });
    const stack = await write("stack.tif", await stacked.toBuffer());
    const empty = join(root, "empty.png");
    const single = await predictImages(classifier, files.slice(0, 5));
    const of = (results: StreamedPrediction[]) =>
      results.map(({ source, index, frame, error }) => ({ source, index, frame, error: error?.reason }));
    const why = "the file is empty";
    for (const batchSize of [2, 32]) {
      const all = await collect(
        predictStream(classifier, [empty, stack, files[4] as string], { batchSize, frames: "all" }),
      );
      expect(of(all)).toEqual([
        { source: empty, index: 0, frame: undefined, error: why },
        ...[0, 1, 2, 3].map((frame) => ({ source: stack, index: frame + 1, frame, error: undefined })),
        { source: files[4], index: 5, frame: undefined, error: undefined },
      ]);
      const probabilities = all.flatMap((result) => (result.error ? [] : [result.probability]));
      await expectClose(
        Float32Array.from(probabilities),
        Float32Array.from(single, ({ probability }) => probability),
        { absolute: 1e-6 },
      );
    }
    const some = await collect(predictStream(classifier, [stack], { frames: "every:3" }));
    expect(some.map(({ frame }) => frame)).toEqual([0, 3]);
    const framed = [
      { file: stack, frame: 2 },
      { file: stack, frame: 9 },
    ];
    const named = await collect(predictStream(classifier, framed));
    expect(named[0]).toMatchObject({ source: framed[0], frame: 2, label: single[2]?.label });
    expect(named[1]?.error?.message).toBe(
      `${stack} could not be read: there is no frame 9, frames are 0 to 3.`,
    );
    const [middle] = await collect(predictStream(classifier, [stack], { frames: "middle" }));
    expect(middle).toMatchObject({ label: single[2]?.label });
  });

  it("opens files with several pictures only a few ahead", async () => {
    const { state, sources } = counted(
      Array.from({ length: 30 }, (_, i) => files[i % files.length] as string),
    );
    let taken = 0;
    for await (const _ of predictStream(classifier, sources, { batchSize: 1, prefetch: 1, frames: "all" })) {
      await new Promise((resolve) => setTimeout(resolve, 5));
      if (++taken === 10) break;
    }
    expect(state.asked).toBeLessThanOrEqual(10 + 2 + 4 + 1);
    await expect.poll(() => state.ended).toBe(true);
  });

  it("leaves the model in its mode and no tensor behind, also when it is left", async () => {
    const before = model.device.memory();
    model.train();
    for await (const _ of predictStream(classifier, files, { batchSize: 4 })) {
      expect(model.training).toBe(false);
      break;
    }
    expect(model.training).toBe(true);
    model.eval();
    await collect(predictStream(classifier, files));
    expect(model.device.memory()).toMatchObject({ tensors: before.tensors, bytes: before.bytes });
  });

  it("names the image for which damaged weights have no answer", async () => {
    const damaged = tinyModel();
    damaged.stateDict()["head.bias"]!.upload(Float32Array.of(Number.NaN, 0));
    const asked = { ...classifier, model: damaged };
    const why = "is not finite: its weights are damaged or its input is.";
    const sources = [join(root, "empty.png"), encoded[1] as Buffer];
    expect(await failure(EvaluationError, collect<ImageSource>(predictStream(asked, sources)))).toBe(
      `the model's output for image 2 ${why}`,
    );
    expect(await failure(EvaluationError, predictImages(asked, files))).toBe(
      `the model's output for /images/0.png ${why}`,
    );
  });

  it("tells the images of which it is done", async () => {
    const progress: number[] = [];
    const onProgress = ({ done, total }: { done: number; total: number }) => progress.push(done, total);
    await predictImages(classifier, files.slice(0, 5), { batchSize: 2, onProgress });
    expect(progress).toEqual([2, 5, 4, 5, 5, 5]);
  });
});
