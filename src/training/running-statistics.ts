/**
 * Running statistics of BatchNorm where several processes train together: each takes its own from its own part of a batch. They do
 * not enter training, so each rank keeps its own while an epoch lasts; what is judged and saved has their mean.
 */
import type { Group } from "../distributed/group.js";
import { bytesOf, floatsOf } from "../distributed/relay.js";
import type { ImageClassifier } from "../models/image-classifier.js";
import { concat, reshape } from "../ops/shape.js";
import { tidy } from "../tensor/scope.js";
import { noGrad } from "../tensor/tape.js";
import type { Tensor } from "../tensor/tensor.js";

const buffersOf = (model: ImageClassifier): Tensor[] =>
  [...model.namedBuffers()].map(([, buffer]) => buffer).filter(({ dtype }) => dtype === "float32");

/** Those of a model, one behind the other; undefined of a model that has none. */
async function statisticsOf(model: ImageClassifier): Promise<Float32Array> {
  const buffers = buffersOf(model);
  if (buffers.length === 0) return new Float32Array(0);
  const flat = noGrad(() =>
    tidy(() => {
      const rows = buffers.map((buffer) => reshape(buffer, [buffer.size]));
      return concat(rows, 0);
    }),
  );
  return (await flat.data().finally(() => flat.dispose())) as Float32Array;
}

/** Gives a model its statistics, as `statisticsOf` has them. */
export function setStatistics(model: ImageClassifier, statistics: Float32Array): void {
  let at = 0;
  for (const buffer of buffersOf(model)) {
    buffer.upload(statistics.slice(at, at + buffer.size));
    at += buffer.size;
  }
}

/** Of each rank, on every rank. */
export async function gatherStatistics(group: Group, model: ImageClassifier): Promise<Float32Array[]> {
  const own = await statisticsOf(model);
  return (await group.gatherBytes("running statistics", bytesOf(own))).map(floatsOf);
}

/** The mean over ranks, computed alike everywhere; that of equal values is the value itself. */
export function meanStatistics(all: readonly Float32Array[]): Float32Array {
  const [first = new Float32Array(0)] = all;
  return first.map((_, at) => all.reduce((sum, own) => sum + (own[at] as number), 0) / all.length);
}
