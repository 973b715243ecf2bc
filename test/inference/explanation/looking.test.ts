/**
 * What maps of a trained network are worth: they point at findings whose place is known, tell pixels that matter from those
 * that do not, and fall apart when the network does.
 */
import { join } from "node:path";
import sharp from "sharp";
import { beforeAll, describe, expect, it } from "vitest";
import { demoClasses, drawDemoImage, writeDemoDataset } from "../../../src/data/demo/demo.js";
import { streams } from "../../../src/data/streams.js";
import {
  ArgumentError,
  type Classifier,
  data,
  type ExplainOptions,
  type Explanation,
  explain,
  fidelity,
  fit as fitModel,
  globalAveragePool,
  type ImageClassifier,
  MedMamba,
  manualSeed,
  nn,
  type Prediction,
  permute,
  predictImages,
  receptiveField,
  type Tensor,
} from "../../../src/index.js";
import { RandomStream } from "../../../src/tensor/random.js";
import { side, sideClasses } from "../../support/sides.js";
import { root } from "../../support/temporary-folder.js";

const size = 64;
const classes = [...demoClasses];
const preprocessing = data.definePreprocessing({ imageSize: size, channels: 1 });
let classifier: Classifier;

/** The pictures of cysts and masses that `writeDemoDataset` draws for testing, with where the finding is. */
const findings = await Promise.all(
  (["cyst", "mass"] as const).flatMap((name) =>
    Array.from({ length: 20 }, async (_, i) => {
      const random = new RandomStream(0, streams.demo, 2, classes.indexOf(name), i);
      const { pixels, finding } = drawDemoImage(name, size, random);
      return { name, finding, image: await pngOf(pixels) };
    }),
  ),
);

function pngOf(pixels: Uint8Array): Promise<Buffer> {
  return sharp(pixels, { raw: { width: size, height: size, channels: 1 } })
    .toColourspace("b-w")
    .png()
    .toBuffer();
}

beforeAll(async () => {
  const folder = join(root, "looking");
  await writeDemoDataset(folder, { perClass: { train: 80, val: 20, test: 1 } });
  const { train, val } = await data.openDataset(folder, { preprocessing });
  manualSeed(0);
  const model = new MedMamba({
    depths: [1, 1, 1],
    dims: [32, 64, 128],
    inChannels: 1,
    numClasses: 3,
    dropPathRate: 0,
  });
  await fitModel(model, { train, validation: val, epochs: 12, batchSize: 16 });
  classifier = { model, classes, preprocessing };
}, 300_000);

type Finding = (typeof findings)[number];

interface Looked {
  readonly hit: boolean;
}

const some = findings.filter((_, i) => i % 5 === 0);

/** The images that are called what they are, and whether the map's peak is a hit. */
async function look(options: ExplainOptions, images: readonly Finding[]): Promise<Looked[]> {
  const looked: Looked[] = [];
  for (const { name, finding, image } of images) {
    const explanation = await explain(classifier, image, options);
    if (explanation.label !== name) continue;
    looked.push({ hit: isHit(finding, explanation.peak) });
  }
  return looked;
}

/**
 * As in the pointing game (https://arxiv.org/abs/1608.00507), 15 pixels of 224 beside the finding count as on it. To it belong
 * the shadow of a mass and the brightness behind a cyst, which is what tells them apart.
 */
function isHit(finding: Uint8Array, { row, column }: { row: number; column: number }): boolean {
  const near = Math.round((15 / 224) * size);
  return finding.some((is, pixel) => {
    const [down, across] = [Math.floor(pixel / size) - row, (pixel % size) - column];
    return is === 1 && Math.hypot(down, across) <= near;
  });
}

describe("maps of a trained network", () => {
  // docs/explaining.md has five trainings: occlusion hit 34 to 40 of 40, Grad-CAM after the last stage 26 to 37.
  it("occlusion points at the finding in nine of ten, Grad-CAM more often than not", async () => {
    const share = async (options: ExplainOptions, images: readonly Finding[]) => {
      const looked = await look(options, images);
      expect(looked.length).toBeGreaterThan(0.8 * images.length);
      return looked.filter(({ hit }) => hit).length / looked.length;
    };
    const half = findings.filter((_, i) => i % 2 === 0);
    expect(await share({ batchSize: 64 }, half)).toBeGreaterThanOrEqual(0.9);
    expect(await share({ stage: 2 }, findings)).toBeGreaterThan(0.5);
  });

  it.each(["grad-cam", "hirescam", "occlusion"] as const)(
    "%s tells pixels that matter from others",
    async (method) => {
      const sums = { deletion: 0, insertion: 0, chance: { deletion: 0, insertion: 0 } };
      for (const { image } of findings.filter((_, i) => i % 10 === 0)) {
        const explanation = await explain(classifier, image, { method });
        const { deletion, insertion, random } = await fidelity(classifier, image, explanation, {
          steps: 8,
          orders: 2,
        });
        sums.deletion += deletion;
        sums.insertion += insertion;
        sums.chance.deletion += random.deletion;
        sums.chance.insertion += random.insertion;
      }
      expect(sums.deletion).toBeLessThan(sums.chance.deletion);
      expect(sums.insertion).toBeGreaterThan(sums.chance.insertion);
    },
  );

  it("do not survive the weights: with random ones they are others", async () => {
    const trained = await Promise.all(
      some.map(({ image }) => explain(classifier, image, { label: "cyst", stage: 1 })),
    );
    const { config } = classifier.model as MedMamba;
    manualSeed(5);
    const random = { ...classifier, model: new MedMamba(config) };
    const others = await Promise.all(
      some.map(({ image }) => explain(random, image, { label: "cyst", stage: 1 })),
    );
    const alike = trained.map(({ map }, i) => correlation(map.data, (others[i] as Explanation).map.data));
    expect(alike.reduce((a, b) => a + b, 0) / alike.length).toBeLessThan(0.5);
  });

  it("the receptive field is largest in the middle and grows from stage to stage", async () => {
    const reach = async (stage: number): Promise<number> => {
      const { data: field } = await receptiveField(
        classifier,
        some.map(({ image }) => image),
        { stage },
      );
      expect(Math.max(...field)).toBe(1);
      return field.filter((value) => value > 0.01).length;
    };
    expect(await reach(2)).toBeGreaterThan(await reach(0));
  });
});

describe("explain", () => {
  const { image } = findings[0] as (typeof findings)[number];

  it("says what is predicted as predictImages does, with the class that the map is about", async () => {
    const [predicted] = await predictImages(classifier, [image]);
    const explanation = await explain(classifier, image, { label: "normal", method: "grad-cam" });
    expect(explanation).toMatchObject(predicted as Prediction);
    expect(explanation).toMatchObject({ explained: "normal", method: "grad-cam", stage: 1 });
    expect(explanation.picture).toMatchObject({ width: size, height: size, channels: 1 });
  });

  it.each<[ExplainOptions, string]>([
    [{ label: "mas" }, 'explain: label "mas" is none of the classifier\'s; did you mean "mass"?'],
    [
      { label: "tumour" },
      'explain: label "tumour" is none of the classifier\'s; classes are cyst, mass, normal.',
    ],
    [{ method: "lime" as never }, 'explain: method "lime" is not one of grad-cam, hirescam, occlusion.'],
    [
      { method: "occlusion", stage: 1 },
      "explain: occlusion has no stage: leave it out, or choose grad-cam or hirescam.",
    ],
    [{ stage: 3 }, "features: there is no stage 3; they are 0 to 2."],
    [{ method: "occlusion", window: 65 }, "explain: window 65 is not an integer from 1 to 64 pixels."],
    [{ method: "occlusion", batchSize: 0.5 }, "explain: batchSize 0.5 is not an integer of 1 or more."],
  ])("refuses %o", async (options, message) => {
    await expect(explain(classifier, image, options)).rejects.toThrow(message);
    await expect(explain(classifier, image, options)).rejects.toBeInstanceOf(ArgumentError);
  });

  it("names an image that cannot be read, and a network without stages", async () => {
    await expect(explain(classifier, "nowhere.png")).rejects.toThrow(
      "nowhere.png could not be read: there is no such file.",
    );
    const own = { ...classifier, model: new Own(), classes: sideClasses };
    const small = { ...own, preprocessing: data.definePreprocessing({ imageSize: side, channels: 1 }) };
    await expect(explain(small, image, { stage: 0 })).rejects.toThrow('use method "occlusion"');
    expect((await explain(small, image)).map.width).toBe(side);
  });

  it("ends when it is told", async () => {
    const signal = AbortSignal.abort(new Error("enough"));
    await expect(explain(classifier, image, { signal })).rejects.toThrow("enough");
  });
});

/** A network that has no stages. */
class Own extends nn.Module implements ImageClassifier {
  readonly config = { numClasses: 2 };
  readonly #head = this.child("head", new nn.Linear(1, 2));

  get device() {
    return this.#head.weight.device;
  }

  override forward(images: Tensor): Tensor {
    return this.#head.forward(globalAveragePool(permute(images, [0, 2, 3, 1])));
  }
}

/** Pearson's, of maps of one size; 0 where one is even. */
function correlation(a: Float32Array, b: Float32Array): number {
  const mean = (values: Float32Array) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const [meanA, meanB] = [mean(a), mean(b)];
  let [product, squareA, squareB] = [0, 0, 0];
  for (const [i, value] of a.entries()) {
    product += (value - meanA) * (b[i]! - meanB);
    squareA += (value - meanA) ** 2;
    squareB += (b[i]! - meanB) ** 2;
  }
  return squareA * squareB === 0 ? 0 : product / Math.sqrt(squareA * squareB);
}
