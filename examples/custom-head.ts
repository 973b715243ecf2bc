/**
 * A head and a loss of your own on MedMamba's features, trained by `fit`. Gradients come from the operations that are called:
 * nothing has to be derived by hand.
 *
 *   node examples/custom-head.ts
 */
import {
  crossEntropy,
  data,
  evaluate,
  fit,
  logSoftmax,
  MedMamba,
  manualSeed,
  nn,
  softmax,
  type Tensor,
  tasks,
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

/** Backbone and head. A module that gives logits and says its classes and its device is all that `fit` asks for. */
class AttentiveMedMamba extends nn.Module {
  readonly config: { readonly numClasses: number };
  readonly #backbone: MedMamba;
  readonly #head: AttentionHead;

  constructor(numClasses: number) {
    super();
    const dims = [16, 32, 64];
    this.config = { numClasses };
    this.#backbone = this.child(
      "backbone",
      new MedMamba({ depths: [1, 1, 1], dims, inChannels: 1, dropPathRate: 0 }),
    );
    this.#head = this.child("head", new AttentionHead(dims.at(-1) ?? 0, numClasses));
  }

  get device() {
    return this.#backbone.device;
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
console.log(`accuracy ${(await accuracy(test)).toFixed(3)} before`);
await fit(model, {
  train,
  epochs: 4,
  batchSize: 16,
  lr: 2e-3,
  // A task is one object: this one is several classes, with another loss.
  task: { ...tasks.multiClass, loss: (logits, labels) => confidencePenalty(logits, labels) },
  onProgress: (progress) => {
    if (progress.type !== "epoch") return;
    console.log(`epoch ${progress.record.epoch}: loss ${progress.record.trainLoss.toFixed(3)}`);
  },
});
console.log(`accuracy ${(await accuracy(test)).toFixed(3)} after`);
model.dispose();

/** Fraction of a data set that is called rightly. */
async function accuracy(dataset: data.Dataset): Promise<number> {
  const { metrics } = await evaluate(model, dataset);
  return metrics.accuracy;
}
