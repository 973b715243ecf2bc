/**
 * One step: forward, loss, backward, clipping, the optimiser, the average of weights. Where a step is a graph, all of it is;
 * where the batch is divided (`accumulate`), each part goes forward and backward by itself and the gradients add up.
 *
 * Where several processes train together, each has a part of the batch. Its loss is weighted by its share in the mass of the whole,
 * which gives the mean over all images whatever their weights and however many each has, and gradients are added up over ranks.
 */
import type { Batch, LabelledImages } from "../data/index.js";
import type { Connection } from "../distributed/connection.js";
import type { Communicator } from "../distributed/engine.js";
import type { Group } from "../distributed/group.js";
import type { ImageClassifier } from "../models/image-classifier.js";
import { toInput } from "../models/input.js";
import { expectTensor } from "../ops/check.js";
import { slice } from "../ops/shape.js";
import type { LossOptions, Task, Truth } from "../tasks/task.js";
import { tensor } from "../tensor/creation.js";
import { generatorAt, setGeneratorState } from "../tensor/generator.js";
import { GraphedFunction } from "../tensor/graphed-function.js";
import { keep, tidy } from "../tensor/scope.js";
import { noGrad } from "../tensor/tape.js";
import type { Tensor } from "../tensor/tensor.js";
import { GradientBuckets } from "./gradient-buckets.js";
import { MovingAverage } from "./moving-average.js";
import { AdamW, type ParameterGroup } from "./optimizer.js";
import type { AdamSettings } from "./optimizer-settings.js";
import type { TrainingSettings } from "./settings.js";

/** What a step is made of. */
export interface StepOptions {
  readonly model: ImageClassifier;
  readonly dataset: LabelledImages;
  readonly task: Task;
  readonly settings: TrainingSettings;
  /** Factor of each class in the loss; each 1 unless given. */
  readonly classWeights: Float32Array | undefined;
  /** Whether steps are launched as graphs. */
  readonly graphs: boolean;
  /** Those that train together. */
  readonly group: Group;
}

/** Where a step stands. */
export interface StepPosition {
  /** Steps done before: its random numbers are keyed by it. */
  readonly step: number;
  readonly lr: number;
  /** Mass of the whole batch, of which this process has a part; undefined where it has all of it. */
  readonly whole?: number | undefined;
}

/** Takes gradients that are ready to be added up over ranks. */
type Send = (values: Tensor) => void;

/** What a pass of a part of the batch needs beside it. */
interface Pass {
  /** Of the part's loss; default 1. */
  readonly gradient?: Tensor;
  readonly send?: Send | undefined;
}

/** Takes steps, one batch each. */
export class TrainingStep {
  readonly optimizer: AdamW;
  /** Of the weights, after each step; undefined if the settings want none. */
  readonly average: MovingAverage | undefined;
  readonly #options: StepOptions;
  readonly #loss: LossOptions;
  readonly #classWeights: Tensor | undefined;
  readonly #compute: (...inputs: Tensor[]) => Tensor;
  readonly #graphs: GraphedFunction | undefined;
  /** Adds up over ranks, queued as operations are; undefined where a process trains alone, or the host has to wait. */
  #communicator: Communicator | undefined;
  /** Gradients in parts that are added up while backward goes on; undefined where they wait for its end. */
  #buckets: GradientBuckets | undefined;
  #step = 0;

  constructor(options: StepOptions) {
    const { model, settings, classWeights, graphs } = options;
    const { lr, weightDecay, averageDecay, labelSmoothing } = settings;
    const { device } = model;
    this.#options = options;
    this.#loss = { labelSmoothing, classWeights };
    this.#classWeights = classWeights && keep(tensor(classWeights, [classWeights.length], { device }));
    this.optimizer = new AdamW(parameterGroups(model), { lr, weightDecay });
    this.average = averageDecay > 0 ? new MovingAverage(model, averageDecay) : undefined;
    const body = (images: Tensor, ...truth: Tensor[]): Tensor => this.#lossAndUpdate(images, truth);
    const dependencies = () => Object.values(model.stateDict()).map((weight) => weight.handle);
    const graphed = graphs ? new GraphedFunction(device, body, { dependencies }) : undefined;
    this.#compute = graphed ? (...inputs) => graphed.call(...inputs) : body;
    this.#graphs = graphed;
  }

  /** Makes ready to add up over ranks, all of them together. */
  async connect(): Promise<Connection | undefined> {
    const { group, model } = this.#options;
    if (group.isIdle) return undefined;
    const connection = await group.connect(model.device);
    this.#communicator = connection.communicator;
    const { overlap } = connection;
    if (overlap > 0) this.#buckets = new GradientBuckets(this.optimizer, 1e6 * overlap);
    return connection;
  }

  /** What a batch weighs in the mean over several. */
  mass(batch: Batch): number {
    const { model, task } = this.#options;
    return task.mass(batch, model.config.numClasses, this.#loss);
  }

  /**
   * Queues a step.
   *
   * @returns  the mean loss of the whole batch, a scalar
   */
  async take(batch: Batch, { step, lr, whole }: StepPosition): Promise<Tensor> {
    const { model, dataset, settings, group } = this.#options;
    setGeneratorState(generatorAt({ seed: settings.seed, step, rank: group.rank }));
    this.optimizer.lr = lr;
    this.#step = step;
    const inputs = (): [Tensor, ...Tensor[]] => {
      const images = toInput(batch, dataset.preprocessing, model.device);
      return [images, ...this.#truth(batch, whole)];
    };
    if (group.isIdle || this.#communicator) return tidy(() => this.#compute(...inputs()));
    const sent: [Tensor, ReturnType<Tensor["data"]>][] = [];
    const send = (values: Tensor): void => {
      const host = values.data();
      host.catch(() => {}); // Told to whoever waits for it.
      sent.push([values, host]);
    };
    const loss = tidy(() => {
      const [images, ...truth] = inputs();
      return this.#lossAndGradients(images, truth, send);
    });
    if (!this.#buckets) await group.sum(this.optimizer.collectGradients());
    for (const [values, host] of sent) await group.sumOnHost(values, host);
    await group.sum(loss);
    tidy(() => this.#update());
    return loss;
  }

  /**
   * What the loss compares with; of a batch that is divided, or a part of a larger one, for each part, after the parts' shares in
   * the mean.
   */
  #truth(batch: Batch, whole: number | undefined): Tensor[] {
    const { model, task, settings } = this.#options;
    const { numClasses } = model.config;
    const targets = (truth: Truth) => task.targets(truth, numClasses, this.#loss, model.device);
    if (!this.#hasShares) return [targets(batch)];
    const parts = divided(batch, batch.shape[0], settings.accumulate);
    const masses = parts.map((part) => task.mass(part, numClasses, this.#loss));
    const total = whole ?? masses.reduce((sum, mass) => sum + mass, 0);
    const shares = Float32Array.from(masses, (mass) => mass / total);
    return [tensor(shares, [shares.length], { device: model.device }), ...parts.map(targets)];
  }

  /** Whether parts have shares in the mean: where there are several, here or on other ranks. */
  get #hasShares(): boolean {
    const { settings, group } = this.#options;
    return settings.accumulate > 1 || !group.isAlone;
  }

  /** The part of a step that a graph can hold: what differs from step to step is in tensors, or asked for at each launch. */
  #lossAndUpdate(images: Tensor, truth: readonly Tensor[]): Tensor {
    const communicator = this.#communicator;
    const loss = communicator
      ? this.#summed(images, truth, communicator)
      : this.#lossAndGradients(images, truth);
    this.#update();
    return loss;
  }

  #summed(images: Tensor, truth: readonly Tensor[], communicator: Communicator): Tensor {
    if (!this.#buckets) {
      const loss = this.#lossAndGradients(images, truth);
      communicator.sum(this.optimizer.collectGradients());
      communicator.sum(loss);
      return loss;
    }
    try {
      const loss = this.#lossAndGradients(images, truth, (values) => communicator.sumBeside(values));
      communicator.sumBeside(loss);
      return loss;
    } finally {
      communicator.join(); // After an error, too: memory that is given back may be somebody else's at once.
    }
  }

  /** @param send  takes the buckets, where there are any */
  #lossAndGradients(images: Tensor, truth: readonly Tensor[], send?: Send): Tensor {
    this.optimizer.zeroGrad();
    const [first, ...targets] = truth as [Tensor, ...Tensor[]];
    return this.#hasShares
      ? this.#inParts(images, first, targets, send)
      : this.#backward(images, first, { send });
  }

  #update(): void {
    const { maxGradNorm } = this.#options.settings;
    if (maxGradNorm > 0) this.optimizer.clipGradNorm(maxGradNorm);
    this.optimizer.step();
    this.average?.update(() => this.#step);
  }

  /** @param send  takes the buckets of a pass that is the batch's last */
  #backward(images: Tensor, targets: Tensor, { gradient, send }: Pass): Tensor {
    const { model, task, settings } = this.#options;
    const { labelSmoothing } = settings;
    const logits = model.forward(images);
    const loss = task.loss(logits, targets, { labelSmoothing, classWeights: this.#classWeights });
    expectTensor("fit", "what task.loss gives", loss);
    const backward = (): void => loss.backward(gradient && { gradient });
    if (this.#buckets && send) this.#buckets.fill(backward, send);
    else backward();
    return loss;
  }

  #inParts(images: Tensor, shares: Tensor, targets: readonly Tensor[], send?: Send): Tensor {
    let first = 0;
    const losses = targets.map((truth, part) =>
      tidy(() => {
        const count = truth.shape[0] ?? 0;
        const gradient = slice(shares, 0, part, part + 1).reshape([]);
        const isLast = part === targets.length - 1;
        const own = slice(images, 0, first, first + count);
        const loss = this.#backward(own, truth, { gradient, send: isLast ? send : undefined });
        first += count;
        return noGrad(() => loss.mul(gradient));
      }),
    );
    return noGrad(() => losses.reduce((total, loss) => total.add(loss)));
  }

  dispose(): void {
    this.#graphs?.dispose();
    this.#buckets?.dispose();
    this.optimizer.dispose();
    this.average?.dispose();
    this.#classWeights?.dispose();
  }
}

/** A batch's truth in as many parts, as equal as can be; fewer where there are fewer images. */
function divided({ labels, weights }: Truth, images: number, parts: number): Truth[] {
  const count = Math.min(parts, images);
  const labelsPerImage = labels.length / images;
  const edge = (part: number) => Math.floor((part * images) / count);
  return Array.from({ length: count }, (_, part) => ({
    labels: labels.subarray(edge(part) * labelsPerImage, edge(part + 1) * labelsPerImage),
    weights: weights?.subarray(edge(part), edge(part + 1)),
  }));
}

/**
 * @internal Weight decay is for the weights of products: not for vectors, and not for -A, which must not drift towards 1.
 */
export function parameterGroups(model: ImageClassifier): ParameterGroup<AdamSettings>[] {
  const decaying: Tensor[] = [];
  const free: Tensor[] = [];
  for (const [name, parameter] of model.namedParameters()) {
    const decays = parameter.shape.length > 1 && !name.endsWith("A_logs");
    (decays ? decaying : free).push(parameter);
  }
  return [{ parameters: decaying }, { parameters: free, settings: { weightDecay: 0 } }];
}
