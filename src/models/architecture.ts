/** The architecture that weights are of, told from their names and shapes. */
import { WeightsError } from "../errors.js";
import { type MedMambaConfig, medMambaConfig, type Variant, variants } from "./config.js";

/** Shapes of tensors by their names in a MedMamba. */
export type Shapes = ReadonlyMap<string, readonly number[]>;

/** The tensor by which a network is recognised, and what is put before all names. */
export const firstWeight = "patch_embed.proj.weight";

/**
 * The settings of the network that weights are of. What no shape tells, the rate of DropPath, is the default.
 *
 * @param shapes  by the names of MedMamba, without anything before them
 * @throws WeightsError saying which tensor is missing or of no shape that a MedMamba has
 */
export function architectureOf(path: string, shapes: Shapes): MedMambaConfig {
  const shapeOf = (name: string, axes: number): readonly number[] => {
    const shape = shapes.get(name);
    if (shape?.length === axes) return shape;
    const found = shape ? `is (${shape.join(", ")})` : "is missing";
    throw new WeightsError(`${path}: these are not the weights of a MedMamba: ${name} ${found}.`);
  };
  const [width = 0, inChannels = 0, patchSize = 0] = shapeOf(firstWeight, 4);
  const [numClasses = 0, features = 0] = shapeOf("head.weight", 2);
  const depths = depthsOf(shapes);
  const dims = depths.map((_, stage) => width * 2 ** stage);
  if (dims.at(-1) !== features) {
    throw new WeightsError(
      `${path}: these are not the weights of a MedMamba: it would have ${depths.length} stages with ${dims.join(", ")} channels, but its head takes ${features}.`,
    );
  }
  const first = depths.findIndex((depth) => depth > 0);
  const dState = first < 0 ? undefined : shapeOf(`layers.${first}.blocks.0.self_attention.A_logs`, 2)[1];
  try {
    const config = medMambaConfig({ depths, dims, dState, patchSize, inChannels, numClasses });
    expectArchitecture(path, config, shapes, "its other tensors make it");
    return config;
  } catch (error) {
    if (error instanceof WeightsError) throw error;
    throw new WeightsError(`${path}: these are not the weights of a MedMamba: ${(error as Error).message}`, {
      cause: error,
    });
  }
}

/** Blocks of each stage: as many as have a name, up to the first gap. */
function depthsOf(shapes: Shapes): number[] {
  const found: number[] = [];
  for (const name of shapes.keys()) {
    const [, stage, , block] = /^layers\.(\d{1,2})\.(blocks\.(\d{1,4})|downsample)\./.exec(name) ?? [];
    if (stage === undefined) continue;
    found[Number(stage)] = Math.max(found[Number(stage)] ?? 0, block === undefined ? 0 : Number(block) + 1);
  }
  return Array.from(found, (depth) => depth ?? 0);
}

/** The published variant of an architecture, if it is one. */
export function variantOf({ depths, dims }: Pick<MedMambaConfig, "depths" | "dims">): Variant | undefined {
  const names = Object.keys(variants) as Variant[];
  return names.find(
    (name) => variants[name].depths.join() === depths.join() && variants[name].dims.join() === dims.join(),
  );
}

/**
 * A few settings can ask for gigabytes of model, so they are compared with the tensors of the file before one is built:
 * whatever decides about a size has to be there in that size.
 *
 * @param source  what the settings come from, for the message: "the checkpoint describes"
 * @throws WeightsError naming the first tensor that is missing or of another shape
 */
export function expectArchitecture(
  path: string,
  { depths, dims, dState, patchSize, inChannels, numClasses }: MedMambaConfig,
  shapes: Shapes,
  source: string,
): void {
  const expectTensor = (name: string, ...shape: number[]): void => {
    const found = shapes.get(name);
    if (found?.join() === shape.join()) return;
    const is = found ? `is (${found.join(", ")})` : "is missing";
    throw new WeightsError(
      `${path}: the weights are of another model than ${source}: ${name} ${is}, where (${shape.join(", ")}) is described.`,
    );
  };
  expectTensor(firstWeight, dims[0] ?? 0, inChannels, patchSize, patchSize);
  expectTensor("head.weight", numClasses, dims.at(-1) ?? 0);
  for (const [stage, dim] of dims.entries()) {
    for (let block = 0; block < (depths[stage] ?? 0); ++block) {
      const attention = `layers.${stage}.blocks.${block}.self_attention`;
      expectTensor(`${attention}.A_logs`, 4 * dim, dState);
      expectTensor(`${attention}.in_proj.weight`, 2 * dim, dim / 2);
    }
    if (stage < dims.length - 1)
      expectTensor(`layers.${stage}.downsample.reduction.weight`, 2 * dim, 4 * dim);
  }
}
