/**
 * Golden files: inputs and parameters under their own names, results as `out.*`, gradients as `grad.*`, buffers after
 * a training step as `after.*`, and the gradient that goes into backward as `dy`. All were computed in float64 by an
 * implementation in PyTorch and rounded to float32.
 */
import { crossEntropy, type Device, MedMamba, optim, safetensors, type Tensor } from "../../src/index.js";
import { fixture } from "./repository.js";

export interface Golden {
  readonly tensors: Readonly<Record<string, Tensor>>;
  readonly metadata: Readonly<Record<string, string>>;
  /** The tensor of that name; the file must have it. */
  get(name: string): Tensor;
  /** Tensors whose name begins with `prefix`, without it. */
  under(prefix: string): [name: string, tensor: Tensor][];
  dispose(): void;
}

export async function loadGolden(name: string, device: Device): Promise<Golden> {
  const path = fixture(`${name}.safetensors`);
  const tensors = await safetensors.load(path, { device });
  const { metadata } = await safetensors.readHeader(path);
  return {
    tensors,
    metadata,
    get(key) {
      const tensor = tensors[key];
      if (!tensor) throw new Error(`${name} holds no tensor "${key}"`);
      return tensor;
    },
    under(prefix) {
      const entries = Object.entries(tensors).filter(([key]) => key.startsWith(prefix));
      return entries.map(([key, tensor]) => [key.slice(prefix.length), tensor]);
    },
    dispose() {
      for (const tensor of Object.values(tensors)) tensor.dispose();
    },
  };
}

/** The model whose architecture the file's metadata tells, as tuples of Python; its weights are not loaded. */
export function goldenModel({ metadata }: Golden, device: Device): MedMamba {
  const tuple = (text = "") => [...text.matchAll(/\d+/g)].map(Number);
  return new MedMamba({
    depths: tuple(metadata.depths),
    dims: tuple(metadata.dims),
    numClasses: Number(metadata.num_classes),
    dropPathRate: 0,
    device,
  });
}

/** Losses of a model on the file's images, in the steps of AdamW that `out.adamw_losses` was computed with. */
export async function adamwLosses(golden: Golden, network: MedMamba, steps: number): Promise<number[]> {
  const [images, labels] = [golden.get("images"), golden.get("labels")];
  const optimizer = new optim.AdamW(network.train().parameters(), { lr: 1e-3, weightDecay: 0.05 });
  const losses: number[] = [];
  for (let step = 0; step < steps; step += 1) {
    optimizer.zeroGrad();
    const loss = crossEntropy(network.forward(images), labels);
    loss.backward();
    optimizer.step();
    losses.push(await loss.item());
    loss.dispose();
  }
  optimizer.dispose();
  return losses;
}
