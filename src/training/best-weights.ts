/**
 * The best weights so far: in `best.safetensors`, or in memory where a run has no folder. Where several processes train together,
 * rank 0 keeps them for all.
 */
import { join } from "node:path";
import {
  type CheckpointDescription,
  loadWeights,
  readCheckpoint,
  saveCheckpoint,
} from "../checkpoints/checkpoint.js";
import type { Group } from "../distributed/group.js";
import type { ImageClassifier } from "../models/image-classifier.js";
import { taskOf } from "../tasks/index.js";
import { keep } from "../tensor/scope.js";
import type { Tensor } from "../tensor/tensor.js";
import type { Assessment } from "./assess.js";

/** Keeps a model's weights, and gives them back to it. */
export class BestWeights {
  readonly #model: ImageClassifier;
  readonly #path: string | undefined;
  readonly #group: Group;
  #kept: Record<string, Tensor> = {};

  /** @param directory  of the run; without one the weights stay in memory, on the model's device */
  constructor(model: ImageClassifier, directory: string | undefined, group: Group) {
    this.#group = group;
    this.#model = model;
    this.#path = directory === undefined ? undefined : join(directory, "best.safetensors");
  }

  /** Keeps the present weights in the place of those before. @throws WeightsError if they cannot be written */
  async keep(description: CheckpointDescription): Promise<void> {
    if (this.#group.rank > 0) return;
    const weights = this.#model.stateDict();
    if (this.#path !== undefined) return saveCheckpoint(this.#path, weights, description);
    this.dispose();
    const copies = Object.entries(weights).map(([name, weight]) => [name, keep(weight.clone())] as const);
    this.#kept = Object.fromEntries(copies);
  }

  /** Puts what was kept into the model, on every rank. @throws WeightsError if the file cannot be read */
  async restore(): Promise<void> {
    if (this.#group.rank === 0) {
      if (this.#path === undefined) this.#model.loadStateDict(this.#kept);
      else await loadWeights(this.#path, this.#model);
    }
    await this.#group.barrier(); // A file that cannot be read is heard of by all.
    for (const weight of Object.values(this.#model.stateDict())) await this.#group.broadcast(weight);
  }

  /**
   * Writes what was found out about the weights, which the model has, into their file, where there is one.
   *
   * @throws WeightsError if it cannot be written
   */
  async describe({ assurance, thresholds }: Assessment): Promise<void> {
    if (this.#path === undefined || this.#group.rank > 0) return;
    const { threshold: _, thresholds: __, ...description } = await readCheckpoint(this.#path);
    const decision = taskOf(description).name === "binary" ? { threshold: thresholds?.[0] } : { thresholds };
    await saveCheckpoint(this.#path, this.#model.stateDict(), { ...description, ...decision, assurance });
  }

  /** Gives the memory of kept weights back. */
  dispose(): void {
    for (const weight of Object.values(this.#kept)) weight.dispose();
    this.#kept = {};
  }
}
