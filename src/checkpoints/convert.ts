/** From weights that others have published to a checkpoint, which this package predicts, evaluates and trains with. */
import { open, stat } from "node:fs/promises";
import { basename } from "node:path";
import { definePreprocessing, type Preprocessing } from "../data/index.js";
import { ArgumentError, WeightsError } from "../errors.js";
import { architectureOf, firstWeight, variantOf } from "../models/architecture.js";
import type { MedMambaConfig, Variant } from "../models/config.js";
import { MedMamba } from "../models/medmamba.js";
import {
  expectFlags,
  expectNamed,
  expectText,
  expectTexts,
  type NamesOf,
  optionsOf,
} from "../settings/given.js";
import { type Path, pathOf } from "../settings/paths.js";
import { type TaskName, taskOf } from "../tasks/index.js";
import type { Tensor } from "../tensor/tensor.js";
import { readFully } from "../weights/atomic-file.js";
import { toTensor } from "../weights/conversion.js";
import { weightsError } from "../weights/file-errors.js";
import { fileHash } from "../weights/file-hash.js";
import { readHeader, readTensors, type StoredTensor } from "../weights/safetensors.js";
import { checkpointFormat, readCheckpoint, saveCheckpoint } from "./checkpoint.js";
import { disposeAll, expectFinite, takeWeights } from "./training-state.js";

/** What weights do not say of themselves. */
export interface ConvertOptions {
  /** Names of the outputs in their order; "0", "1", ... unless given. */
  readonly classes?: readonly string[] | undefined;
  /** How images were prepared; as the original's train.py does unless given: 224 pixels, stretched, mean and std 0.5. */
  readonly preprocessing?: Partial<Preprocessing> | undefined;
  /** What the network tells; what its number of outputs means unless given. */
  readonly task?: TaskName | undefined;
  /** Where the weights lie in a dictionary of a training, such as "ema"; found out unless given. */
  readonly key?: string | undefined;
  /** Replace a file that is there; default false. */
  readonly overwrite?: boolean | undefined;
}

const optionNames: NamesOf<ConvertOptions> = {
  classes: true,
  preprocessing: true,
  task: true,
  key: true,
  overwrite: true,
};

/** What came of a conversion. */
export interface Conversion {
  /** The checkpoint. */
  readonly path: string;
  /** The architecture, as the shapes tell it. */
  readonly config: MedMambaConfig;
  /** Its name, if it is a published one. */
  readonly variant: Variant | undefined;
  /** Trainable values. */
  readonly parameters: number;
  /** Names of the outputs. */
  readonly classes: readonly string[];
  /** How images are prepared. */
  readonly preprocessing: Preprocessing;
  /** Where in the file the weights were: keys, and what was before all names, such as ["model", "module."]. */
  readonly found: readonly string[];
  /** Keys under which there are other weights, such as "ema". */
  readonly alternatives: readonly string[];
  /** Names of tensors that are none of the network's. */
  readonly leftOut: readonly string[];
}

/**
 * Makes a checkpoint of weights that PyTorch saved: a state dict, alone or within what a training keeps. Nothing in the file
 * is executed. The architecture is told from the shapes; float16, bfloat16 and float64 become float32.
 *
 * @param source  a file of torch.save (.pth, .pt) or bare weights as safetensors
 * @param target  the checkpoint, a .safetensors file; it appears only when it is complete
 * @throws WeightsError naming the file: what it is instead, what in it is refused, whose weights it holds instead of a
 *   MedMamba's, a value that is not finite, or an output that is there already
 * @throws ArgumentError if there are not as many classes as outputs, or for preprocessing that cannot be
 *
 * @example
 * const { variant } = await convert("medmamba.pth", "medmamba.safetensors", { classes: ["cyst", "mass", "normal"] });
 */
export async function convert(source: Path, target: Path, options: ConvertOptions = {}): Promise<Conversion> {
  const { classes, key, overwrite = false } = optionsOf("convert", options, optionNames);
  const input = pathOf("convert", source, "the input");
  const output = pathOf("convert", target, "the output");
  if (classes !== undefined) expectTexts("convert", "classes", classes);
  if (options.preprocessing != null) expectNamed("convert", "preprocessing", options.preprocessing);
  if (key !== undefined) expectText("convert", "key", key);
  expectFlags("convert", { overwrite });
  await expectFree(input, output, overwrite);
  const { tensors, path: keys, alternatives } = await readWeights(input, key);
  const { weights, prefix, leftOut } = ofNetwork(input, tensors);
  const config = architectureOf(input, new Map([...weights].map(([name, { shape }]) => [name, shape])));
  if (config.inChannels !== 1 && config.inChannels !== 3) {
    throw new WeightsError(
      `${input}: the network takes images of ${config.inChannels} channels, and 1 or 3 can be read here.`,
    );
  }
  const description = describe(config, options);
  const model = new MedMamba(config);
  const loaded: Record<string, Tensor> = Object.create(null);
  try {
    for (const [name, stored] of weights) {
      expectReal(input, name, stored);
      const tensor = toTensor(input, name, stored);
      loaded[name] = tensor;
      await expectFinite(input, name, tensor);
    }
    takeWeights(input, loaded, model);
    const provenance = { source: { file: basename(input), sha256: await fileHash(input) } };
    await saveCheckpoint(output, model.stateDict(), { ...description, provenance });
    return {
      path: output,
      config,
      variant: variantOf(config),
      parameters: model.parameterCount,
      classes: description.classes,
      preprocessing: description.preprocessing,
      found: prefix === "" ? keys : [...keys, prefix],
      alternatives,
      leftOut,
    };
  } finally {
    disposeAll(loaded);
    model.dispose();
  }
}

async function expectFree(input: string, output: string, overwrite: boolean): Promise<void> {
  const there = await stat(output).catch(() => undefined);
  if (!there) return;
  const source = await stat(input).catch(() => undefined);
  if (source?.ino === there.ino && source.dev === there.dev)
    throw new WeightsError(`${output}: is the file to convert: name another one for the checkpoint.`);
  if (!overwrite)
    throw new WeightsError(
      `${output}: is there already: name another file, or replace it by --overwrite (in a program, overwrite: true).`,
    );
}

async function readWeights(
  path: string,
  key: string | undefined,
): Promise<{ tensors: Map<string, StoredTensor>; path: readonly string[]; alternatives: readonly string[] }> {
  if (!(await isSafetensors(path))) {
    const { readPth } = await import("../weights/pth/read.js");
    return readPth(path, { key });
  }
  const { metadata } = await readHeader(path);
  if (metadata.format === checkpointFormat) {
    await readCheckpoint(path);
    throw new WeightsError(
      `${path}: is a checkpoint of this package already; predict, evaluate and train take it.`,
    );
  }
  if (key !== undefined)
    throw new WeightsError(`${path}: a safetensors file has no keys such as "${key}"; leave it out.`);
  return { tensors: await readTensors(path), path: [], alternatives: [] };
}

/** By content: behind the length of its header, a safetensors file has that header, which is JSON. */
async function isSafetensors(path: string): Promise<boolean> {
  try {
    if (!(await stat(path)).isFile()) return false; // Whoever reads it says what it is.
    const file = await open(path, "r");
    try {
      const beginning = new Uint8Array(9);
      return (await readFully(file, beginning, 0)) === 9 && beginning[8] === 0x7b && beginning[7] === 0;
    } finally {
      await file.close();
    }
  } catch (error) {
    throw weightsError(path, error);
  }
}

/** The tensors of the network under its own names: without what is before the name of its first weight. */
function ofNetwork(
  path: string,
  tensors: ReadonlyMap<string, StoredTensor>,
): { weights: Map<string, StoredTensor>; prefix: string; leftOut: string[] } {
  const first = [...tensors.keys()].find((name) => name === firstWeight || name.endsWith(`.${firstWeight}`));
  if (first === undefined) {
    const some = [...tensors].slice(0, 3).map(([name, { shape }]) => `${name} (${shape.join(", ")})`);
    throw new WeightsError(
      `${path}: these are not the weights of a MedMamba: there is no ${firstWeight}, but ${some.join(", ").slice(0, 300) || "no tensor"}.`,
    );
  }
  const prefix = first.slice(0, -firstWeight.length);
  const weights = new Map<string, StoredTensor>();
  const leftOut: string[] = [];
  for (const [name, tensor] of tensors) {
    if (name.startsWith(prefix)) weights.set(name.slice(prefix.length), tensor);
    else leftOut.push(name);
  }
  return { weights, prefix, leftOut };
}

function describe(
  config: MedMambaConfig,
  { classes, preprocessing, task }: ConvertOptions,
): { config: MedMambaConfig; classes: readonly string[]; preprocessing: Preprocessing; task?: TaskName } {
  const { numClasses, inChannels } = config;
  const names = classes ?? Array.from({ length: numClasses }, (_, output) => String(output));
  if (names.length !== numClasses)
    throw new ArgumentError(
      `convert: ${names.length} classes are named, but the network has ${numClasses} outputs.`,
    );
  if (new Set(names).size !== names.length)
    throw new ArgumentError(`convert: classes [${names.join(", ")}] names one class twice.`);
  const complete = definePreprocessing({ ...preprocessing, channels: inChannels as 1 | 3 });
  const described = { config, classes: names, preprocessing: complete };
  return task === undefined ? described : { ...described, task: taskOf({ task, classes: names }).name };
}

const real = /^(float(16|32|64)|bfloat16|uint(8|16)|int(8|16|32|64)|bool)$/;

function expectReal(path: string, name: string, { dtype }: StoredTensor): void {
  if (real.test(dtype)) return;
  throw new WeightsError(
    `${path}: "${name}" is of ${dtype}, which no network here computes with: save it as float32 in Python, with tensor.float().`,
  );
}
