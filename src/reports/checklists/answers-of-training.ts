/** What a run says of the model: what it is, how it was trained, chosen and delivered. */
import { partitionInWords } from "./answers-of-data.js";
import type { Answer } from "./checklist.js";
import type { RunFacts } from "./facts.js";
import { classesInWords, counted, decimal, judgedInWords, listed, sentences } from "./words.js";

const kinds = {
  binary: "a binary classifier",
  "multi-class": "a classifier of classes that exclude each other",
  "multi-label": "a classifier of several labels an image",
  ordinal: "a classifier of classes in order",
} as const;

/** A title that says what it is; not of whom. */
export function title(facts: RunFacts): string | undefined {
  const { evaluation, classes } = facts;
  if (!classes || !evaluation) return undefined;
  const auc = evaluation.scores.AUC?.value;
  const measure = auc === null || auc === undefined ? "" : `, AUC ${decimal(auc)}`;
  const test = evaluation.external ? "external" : "internal";
  return `Proposed title: "Deep learning (MedMamba, a vision state space network) to tell ${classesInWords(facts)} on images: development and ${test} test of diagnostic accuracy${measure}".`;
}

/** The same where the title is to name the patients, too. */
export function titleWithoutPopulation(facts: RunFacts): Answer | undefined {
  const found = title(facts);
  return found === undefined ? undefined : { partly: found };
}

/** What a summary needs, but for whose images these are and what follows. */
export function abstract(facts: RunFacts): Answer | undefined {
  const { evaluation, training } = facts;
  if (!evaluation || !training) return undefined;
  const { scores } = evaluation;
  const auc = scores.AUC;
  const interval = auc?.interval ? ` (${decimal(auc.interval[0])} to ${decimal(auc.interval[1])})` : "";
  const result = typeof auc?.value === "number" ? `AUC was ${decimal(auc.value)}${interval}.` : undefined;
  const whose = evaluation.patients === null ? "" : ` of ${counted(evaluation.patients, "patient")}`;
  return {
    partly: sentences(
      `Methods: MedMamba, a deep network, was trained to tell ${classesInWords(facts)}, its epoch and thresholds chosen on validation images.`,
      `Results: on ${evaluation.samples} ${judgedInWords(facts)}${whose}, ${result ?? "see the scores."}`,
    ),
  };
}

/** Whether it was developed, judged, or both. */
export function objectives(facts: RunFacts): Answer | undefined {
  const { evaluation, training } = facts;
  if (!training && !evaluation) return undefined;
  const what =
    training && evaluation ? "development and evaluation" : training ? "development" : "evaluation";
  return {
    partly: `The run is the ${what} of a model that tells ${classesInWords(facts)}${evaluation ? `, judged on ${judgedInWords(facts)}` : ""}.`,
  };
}

/** The network in numbers: enough to build it again. */
export function network(facts: RunFacts): string | undefined {
  const { network, task, preprocessing, software } = facts;
  if (!network || !preprocessing) return undefined;
  const { depths, dims, dState, patchSize, dropPathRate, parameters, numClasses } = network;
  const output = task === "multi-label" ? "sigmoid of each output" : "softmax over the outputs";
  return sentences(
    `MedMamba (arXiv 2403.03849)${task ? `, ${kinds[task]}` : ""}${parameters === undefined ? "" : `, ${parameters} parameters`}.`,
    `Input: ${counted(preprocessing.channels, "channel")}, ${preprocessing.imageSize} x ${preprocessing.imageSize} pixels, in patches of ${patchSize} x ${patchSize}.`,
    `Stages of ${listed(depths.map(String))} blocks with ${listed(dims.map(String))} channels; in a block half of the channels pass convolutions with batch normalization and ReLU, the other half layer normalization and a selective scan in four directions with ${dState} states a channel; then both are shuffled and added to the input. DropPath rises to ${dropPathRate}.`,
    `Output: ${counted(numClasses, "number")} by a linear layer after the mean over pixels; probabilities are the ${output}.`,
    software && `The code is that of ${software.name} ${software.version}.`,
  );
}

/** Why this network, and what else was tried, is not known. */
export function modelBuilding(facts: RunFacts): Answer | undefined {
  const parts = [network(facts), training(facts), selection(facts)];
  if (parts.some((part) => part === undefined)) return undefined;
  return { partly: sentences(...parts, "The run has one set of settings, and tried no others.") };
}

/** Programs and their versions. */
export function software({ software, computing }: RunFacts): string | undefined {
  if (!software) return undefined;
  const { name, version, license, node, platform } = software;
  return sentences(
    `${name} ${version} (${license} license) with its own C++ and CUDA kernels, on Node.js ${node}, ${platform}.`,
    computing &&
      `Judged on ${computing.device}${computing.precision ? `, products in ${computing.precision}` : ""}.`,
  );
}

/** The same, but for the devices that made the images. */
export function devicesAndSoftware(facts: RunFacts): Answer | undefined {
  const found = software(facts);
  return found === undefined ? undefined : { partly: found };
}

/** How weights began. */
export function initialization({ training }: RunFacts): Answer | undefined {
  if (!training) return undefined;
  const { seed } = training.settings;
  if (training.from === "random weights")
    return `Random weights by the published scheme, all from seed ${seed}; nothing is pretrained.`;
  return { partly: "Training began from given weights; layers of another shape are random." };
}

/** All settings of the training. */
export function training({ training }: RunFacts): string | undefined {
  if (!training) return undefined;
  const { settings, epochs, augmentation } = training;
  const { batchSize, accumulate, lr, warmupEpochs, schedule, weightDecay, labelSmoothing } = settings;
  const { averageDecay, maxGradNorm, seed, patience, minLrFraction, precision } = settings;
  const { scale, aspect, horizontalFlip, verticalFlip, rotation, translation, brightness, contrast } =
    augmentation;
  const least = schedule === "cosine" ? ` to ${minLrFraction} of it` : "";
  return sentences(
    `AdamW, ${counted(epochs ?? settings.epochs, "epoch")}${epochs !== undefined && epochs < settings.epochs ? ` of ${settings.epochs}` : ""}, ${batchSize} images a step${accumulate > 1 ? ` in ${accumulate} passes` : ""}; learning rate ${lr}, ${warmupEpochs} epochs of warm-up, then ${schedule}${least}; weight decay ${weightDecay}, label smoothing ${labelSmoothing}, gradient norm at most ${maxGradNorm || "unlimited"}.`,
    averageDecay > 0 && `Judged and kept is a moving average of the weights (decay ${averageDecay}).`,
    `Random changes of training images: area ${scale[0]} to ${scale[1]}, aspect ${aspect[0].toFixed(2)} to ${aspect[1].toFixed(2)}, mirrored left-right with chance ${horizontalFlip} and top-bottom ${verticalFlip}, turned by up to ${rotation} degrees, shifted by up to ${translation}, brightness ${brightness}, contrast ${contrast}.`,
    `Seed ${seed} of weights, order and changes${precision === undefined ? "" : `; products in ${precision}`}.`,
    patience > 0 ? `Stopped after ${counted(patience, "epoch")} without improvement.` : "No early stopping.",
  );
}

const monitors = {
  auc: "area under the ROC curve",
  accuracy: "accuracy",
  balancedAccuracy: "balanced accuracy",
  loss: "loss",
} as const;

/** How the epoch was chosen. */
export function selection({ training }: RunFacts): string | undefined {
  if (!training) return undefined;
  const { bestEpoch, epochs, settings } = training;
  if (bestEpoch === undefined) return undefined;
  return `The epoch with the best ${monitors[settings.monitor]} on the validation images was kept: ${bestEpoch}${epochs === undefined ? "" : ` of ${epochs}`}. Test images took no part in it.`;
}

/** One network. */
export function ensembling({ training }: RunFacts): string | undefined {
  if (!training) return undefined;
  const { averageDecay } = training.settings;
  return `No ensemble: one network answers.${averageDecay > 0 ? ` Its weights are a moving average over the steps of one training (decay ${averageDecay}).` : ""}`;
}

/** Training, choice and test with their sizes. */
export function development(facts: RunFacts): string | undefined {
  const parts = [partitionInWords(facts), training(facts), selection(facts)];
  return parts.some((part) => part === undefined) ? undefined : sentences(...parts);
}

/** What was done about classes of unequal size. */
export function imbalance(facts: RunFacts): string | undefined {
  const { training, uncertainty } = facts;
  if (!training) return undefined;
  const { classWeights } = training.settings;
  const how =
    classWeights === "auto"
      ? "by the rule that errors of a class weigh inversely to its frequency if the largest class has more than 1.5 times the images of the smallest (several labels an image: never)"
      : classWeights === "balanced"
        ? "inversely to their frequency"
        : classWeights === "none"
          ? "all alike"
          : `by given factors ${listed(classWeights.map(String))}`;
  const temperature = uncertainty?.temperature;
  return sentences(
    `In the loss classes weigh ${how}; no image is drawn more often than another.`,
    temperature === undefined
      ? "Probabilities were not recalibrated afterwards."
      : `Afterwards logits are divided by a temperature of ${decimal(temperature)}, found on validation images.`,
  );
}

/** What it answers, and when it calls a finding. */
export function output(facts: RunFacts): string | undefined {
  const { task, thresholds, classes } = facts;
  if (!task || !classes) return undefined;
  return `Output: a probability of each of ${classesInWords(facts)}. ${decision(facts, thresholds, classes)}`;
}

function decision(
  { task, evaluation }: RunFacts,
  thresholds: readonly number[] | undefined,
  classes: readonly string[],
): string {
  const [threshold] = thresholds ?? [];
  if (task === "binary" && threshold !== undefined) {
    const chosen = `${classes[1]} is called from ${decimal(threshold)} on: the probability with the largest sensitivity + specificity (Youden) on the validation images, fixed before the test.`;
    const used = evaluation?.operating?.threshold;
    const other = used !== undefined && used !== threshold;
    return other ? `${chosen} Beside it, ${decimal(used)} was chosen for a wish, and tried.` : chosen;
  }
  if (task === "multi-label") {
    const each = classes.map((name, i) => `${name} ${decimal(thresholds?.[i] ?? 0.5)}`);
    return thresholds
      ? `Each label is called from a threshold of its own on, chosen on the validation images: ${each.join(", ")}.`
      : "Each label is called from 0.5 on.";
  }
  return "Called is the most probable class; there is no threshold.";
}

/** How an answer is had from the model. */
export function prediction(facts: RunFacts): string | undefined {
  const { software, checkpoint, evaluation } = facts;
  if (!software || !checkpoint) return undefined;
  const hash = checkpoint.sha256 === undefined ? "" : `, SHA-256 ${checkpoint.sha256}`;
  return sentences(
    `\`medmamba evaluate\` and \`predict\` of ${software.name} ${software.version} on the checkpoint ${checkpoint.file}${hash}, which has weights, network, preprocessing and thresholds.`,
    evaluation && "Each image is answered once, without changes and averages over copies.",
  );
}

/** All of the model but its terms. */
export function specification(facts: RunFacts): Answer | undefined {
  const found = prediction(facts);
  return found === undefined ? undefined : { partly: found };
}

/** Whether the model was changed after its test. */
export function updating({ evaluation, software }: RunFacts): string | undefined {
  if (!evaluation || !software) return undefined;
  return "The model was not updated: weights, thresholds and preprocessing of the checkpoint are those of before the evaluation, which changes no file of it.";
}

/** The code by which it was trained and judged. */
export function code({ software, runKept }: RunFacts): string | undefined {
  if (!software) return undefined;
  return sentences(
    `Training and evaluation are done by ${software.name} ${software.version}, open source (${software.license}), from npm: \`npm install ${software.name}@${software.version}\`.`,
    runKept && "`run.json` beside the checkpoint has every setting, by which the run is repeated.",
  );
}

/** Code is to be had; data and model are not the run's to give. */
export function availability(facts: RunFacts): Answer | undefined {
  const found = code(facts);
  return found === undefined ? undefined : { partly: found };
}

/** Where further details are. */
export function technicalDetails({ checkpoint, runKept, software }: RunFacts): string | undefined {
  if (!checkpoint || !runKept || !software) return undefined;
  return `Technical details: \`run.json\` and \`metrics.jsonl\` of the run, the description in ${checkpoint.file}, and the documentation of ${software.name} ${software.version}.`;
}
