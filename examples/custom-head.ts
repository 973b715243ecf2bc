/**
 * A head and a loss of your own on MedMamba's features, trained by a loop of your own. Gradients come from the operations
 * that are called: nothing has to be derived by hand.
 *
 *   node examples/custom-head.ts
 */
import {
  crossEntropy,
  data,
  logSoftmax,
  MedMamba,
  manualSeed,
  nn,
  noGrad,
  optim,
  softmax,
  type Tensor,
  tensor,
  tidy,
  toInput,
} from "medmamba";

/** Pools by attention: each pixel of the feature map gets a weight that is learned, instead of all the same. */
class AttentionHead extends nn.Module {
  readonly #score: nn.Linear;
  readonly #classifier: nn.Linear;

  constructor(channels: number, classes: number) {
    super();
    this.#score = this.child("score", new nn.Linear(channels, 1));
    this.#classifier = this.child("classifier", new nn.Linear(channels, classes));
  }

  /** (batch, height, width, channels) -> logits (batch, classes) */
  override forward(features: Tensor): Tensor {
    const [batch = 0, height = 0, width = 0, channels = 0] = features.shape;
    const pixels = features.reshape(batch, height * width, channels);
    const attention = softmax(this.#score.forward(pixels).reshape(batch, 1, height * width));
    return this.#classifier.forward(attention.matmul(pixels).reshape(batch, channels));
  }
}

/** Backbone and head, so that parameters and training mode are those of both. */
class AttentiveMedMamba extends nn.Module {
  readonly #backbone: MedMamba;
  readonly #head: AttentionHead;

  constructor(classes: number) {
    super();
    const dims = [16, 32, 64];
    this.#backbone = this.child(
      "backbone",
      new MedMamba({ depths: [1, 1, 1], dims, inChannels: 1, dropPathRate: 0 }),
    );
    this.#head = this.child("head", new AttentionHead(dims.at(-1) ?? 0, classes));
  }

  override forward(images: Tensor): Tensor {
    return this.#head.forward(this.#backbone.features(images));
  }
}

/** Cross-entropy less a part of the predictions' entropy, which keeps them from being too sure (arXiv 1701.06548). */
function confidencePenalty(logits: Tensor, labels: Tensor, beta = 0.1): Tensor {
  const logProbabilities = logSoftmax(logits);
  const entropy = softmax(logits).mul(logProbabilities).sum(-1).mean().neg();
  return crossEntropy(logits, labels).sub(entropy.mul(beta));
}

await data.writeDemoDataset("example-data");
const { train, test, classes } = await data.openDataset("example-data", {
  preprocessing: { imageSize: 32, channels: 1 },
});

manualSeed(0);
const model = new AttentiveMedMamba(classes.length);
const optimizer = new optim.AdamW(model.parameters(), { lr: 2e-3 });
const loader = new data.Loader(train, {
  batchSize: 16,
  shuffle: true,
  augmentation: data.augmentations.standard,
});

console.log(`accuracy ${(await accuracy(test)).toFixed(3)} before`);
for (let epoch = 0; epoch < 4; ++epoch) {
  let sum = 0;
  model.train();
  for await (const batch of loader.epoch(epoch)) {
    // tidy gives back what the step made, except the loss that it returns.
    const loss = tidy(() => {
      optimizer.zeroGrad();
      const labels = tensor(batch.labels, [batch.labels.length], { dtype: "int64" });
      const penalty = confidencePenalty(model.forward(toInput(batch, train.preprocessing)), labels);
      penalty.backward();
      optimizer.step();
      return penalty;
    });
    sum += await loss.item();
    loss.dispose();
  }
  console.log(`epoch ${epoch + 1}: loss ${(sum / loader.batchCount).toFixed(3)}`);
}
console.log(`accuracy ${(await accuracy(test)).toFixed(3)} after`);
optimizer.dispose();
model.dispose();

/** Fraction of a data set that is called rightly. */
async function accuracy(dataset: data.Dataset): Promise<number> {
  model.eval();
  let right = 0;
  for await (const batch of new data.Loader(dataset, { batchSize: 32 }).epoch(0)) {
    const logits = noGrad(() => tidy(() => model.forward(toInput(batch, dataset.preprocessing))));
    const values = await logits.data();
    logits.dispose();
    for (const [i, label] of batch.labels.entries()) {
      const row = Array.from(values.subarray(i * classes.length, (i + 1) * classes.length));
      right += Number(row.indexOf(Math.max(...row)) === label);
    }
  }
  return right / dataset.length;
}
