/** `medmamba explain`: where a checkpoint looked, as a picture, as numbers, and in a line. */
import { writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { type Command, Option } from "commander";
import { limitRows } from "../../data/decoding/limits.js";
import { DataError } from "../../errors.js";
import {
  type ExplainMethod,
  type Explanation,
  explain,
  explainMethods,
  showsNothing,
} from "../../inference/explanation/explain.js";
import { type Fidelity, fidelity } from "../../inference/explanation/fidelity.js";
import { probabilityWords } from "../../inference/probability-words.js";
import { expectRisk } from "../../inference/uncertainty.js";
import { checkpointHash, type ReportingModel } from "../../reports/dicom/reporting-model.js";
import { secondaryCapture } from "../../reports/dicom/secondary-capture.js";
import { dicomSource } from "../../reports/dicom/source.js";
import { heatMapPng } from "../../reports/heat-map.js";
import { encodeNpy } from "../../reports/npy.js";
import { writableFolder } from "../../study/writable-folder.js";
import { taskOf } from "../../tasks/index.js";
import { replaceText } from "../../weights/atomic-file.js";
import { askedImages, fileOf } from "../console/asked-images.js";
import { CommandError } from "../console/failure.js";
import { openCheckpoint, singleFrameOf } from "../console/for-checkpoint.js";
import {
  type CommonOptions,
  count,
  countOrZero,
  openDeviceOf,
  withCommonOptions,
  withSettings,
} from "../console/options.js";
import { expectCheckpoint } from "../console/paths.js";
import {
  type AskedSource,
  type DecidedRow,
  decidedLines,
  thresholdLines,
} from "../console/prediction-lines.js";
import { modelOf } from "../console/prediction-reports.js";
import { referralLines, riskOption } from "../console/referrals.js";
import { interruptible, Terminal } from "../console/terminal.js";
import { decimals, endOf, plural, shortPath } from "../console/wording.js";

interface ExplainOptions extends CommonOptions {
  readonly checkpoint: string;
  readonly out: string;
  readonly label?: string;
  readonly method?: ExplainMethod;
  readonly stage?: number;
  readonly window?: number;
  readonly frame?: number;
  readonly fidelity?: boolean;
  readonly maxPixels?: number;
  readonly format?: "png" | "dicom-sc";
  readonly risk?: number;
  readonly refer: boolean;
}

/** One image, as `--json` and the files have it. */
type FileExplanation =
  | (Omit<Explanation, "map" | "picture" | "placement"> & {
      readonly file: string;
      readonly map: { readonly height: number; readonly width: number };
      readonly fidelity?: Fidelity;
      readonly files: readonly string[];
    })
  | { readonly file: string; readonly error: string };

const examples = `
For each image three files: NAME.png has the picture and beside it the same with
the map over it, NAME.npy the map's own values, NAME.json what was predicted and
where the map is largest. With --format dicom-sc, of DICOM images, NAME.sc.dcm
takes the place of NAME.png: an image for viewers, in the study of the original,
which names the patient as that does. A map shows where the network found
evidence for a class; it does not say that the evidence is right.

Where the checkpoint can tell, an image that is not like the training images, or
that may be of several classes, gets "not sure: refer" and the reason.

Examples:
  $ medmamba explain --checkpoint run/best.safetensors --out maps scan.png
  $ medmamba explain --checkpoint best.safetensors --out maps \\
      --label mass --method grad-cam --fidelity scans
  $ medmamba explain --checkpoint best.safetensors --out maps \\
      --format dicom-sc ward/IM000121`;

export function define(command: Command): void {
  command
    .description("Show where in images the evidence for a class lies.")
    .argument("<image...>", "image files, or folders of them")
    .requiredOption("--checkpoint <file>", "the model, as training wrote it")
    .requiredOption("--out <folder>", "where the files go; earlier ones of the same names are replaced")
    .option("--label <class>", "the class to look for (default: the one that the image is called)")
    .addOption(
      new Option(
        "--method <name>",
        "by gradients, or by hiding parts of the image (default: occlusion, or with --stage grad-cam)",
      ).choices(explainMethods),
    )
    .addOption(
      new Option(
        "--stage <number>",
        "whose features are weighed, from 0 (default: the last with 7 places or more a side)",
      ).argParser(countOrZero),
    )
    .addOption(
      new Option(
        "--window <pixels>",
        "side of what occlusion hides (default: an eighth of the image)",
      ).argParser(count),
    )
    .addOption(
      new Option(
        "--frame <number>",
        "which picture of a file with several, from 0 (default: as in training, of a volume the one in the middle)",
      ).argParser(countOrZero),
    )
    .addOption(new Option("--format <name>", "of the picture (default: png)").choices(["png", "dicom-sc"]))
    .addOption(riskOption())
    .option("--no-refer", "do not say which images a human should look at")
    .option("--fidelity", "measure too whether the map tells what matters to the network");
  withCommonOptions(withSettings(command, limitRows)).addHelpText("after", examples).action(run);
}

async function run(images: string[], options: ExplainOptions): Promise<void> {
  const terminal = new Terminal(options);
  const { label, method, stage, window, frame, maxPixels, risk, refer } = options;
  expectCheckpoint(options.checkpoint);
  await interruptible(terminal, "Stopping.", async (signal) => {
    const checkpoint = await openCheckpoint(options.checkpoint, openDeviceOf(options), terminal);
    if (risk !== undefined) expectRisk("--risk", checkpoint.assurance, risk, taskOf(checkpoint));
    const folder = await writableFolder(options.out, "--out");
    try {
      const asked = (await askedImages(images, terminal)).map(({ source }) => source);
      const names = namesFor(asked.map(fileOf));
      const done: FileExplanation[] = [];
      const isDicom = options.format === "dicom-sc";
      const model = isDicom ? modelOf(checkpoint, await checkpointHash(checkpoint.path)) : undefined;
      for (const [i, source] of asked.entries()) {
        const file = fileOf(source);
        terminal.progress(`explaining ${i + 1}/${asked.length}`);
        const name = join(options.out, names[i] as string);
        try {
          const explanation = await explain(checkpoint, source, {
            label,
            method,
            stage,
            window,
            frame,
            frames: singleFrameOf(checkpoint),
            maxPixels,
            onWarning: (message) => terminal.warn(message),
            signal,
            risk,
            refer,
          });
          const measured = options.fidelity
            ? await fidelity(checkpoint, source, explanation, { frame: explanation.frame, maxPixels, signal })
            : undefined;
          const picture = model
            ? await captureOf(source, explanation, model, maxPixels)
            : await heatMapPng(explanation);
          done.push(await write(name, isDicom ? ".sc.dcm" : ".png", picture, file, explanation, measured));
        } catch (error) {
          if (!(error instanceof DataError)) throw error;
          done.push({ file, error: error.message });
        }
      }
      terminal.clearProgress();
      const judged = done.map((one) => ("error" in one ? { error: one.error } : one));
      for (const line of [
        ...explanationLines(done),
        ...thresholdLines(checkpoint),
        ...referralLines(checkpoint, judged, options),
      ])
        terminal.print(line);
      terminal.result({ explanations: done });
      const failed = done.filter((one) => "error" in one).length;
      if (failed > 0)
        throw new CommandError(`${failed} of ${plural(done.length, "image")} could not be explained.`);
    } finally {
      checkpoint.model.dispose();
      await folder.removeEmpty();
    }
  });
}

/** Names of the files that are written, without ending: the image's own, with a number where it comes again. */
function namesFor(files: readonly string[]): string[] {
  const used = new Set<string>();
  return files.map((file) => {
    const own = basename(file).replace(/(?<=.)\.[^.]*$/, "");
    let name = own;
    for (let number = 2; used.has(name.toLowerCase()); ++number) name = `${own}-${number}`;
    used.add(name.toLowerCase());
    return name;
  });
}

/** As an image of DICOM. @throws DataError naming the file, if that is no image of DICOM */
async function captureOf(
  source: AskedSource,
  explanation: Explanation,
  model: ReportingModel,
  maxPixels: number | undefined,
): Promise<Uint8Array> {
  const file = fileOf(source);
  const original = await dicomSource(file, { maxPixels }).catch((error: unknown) => {
    if (!(error instanceof DataError)) throw error;
    throw new DataError(`${file}: no picture: ${error.reason}.`, { file, reason: error.reason });
  });
  return secondaryCapture({ source: original, frame: explanation.frame }, explanation, model).bytes;
}

async function write(
  name: string,
  ending: ".png" | ".sc.dcm",
  drawn: Uint8Array,
  file: string,
  explanation: Explanation,
  measured: Fidelity | undefined,
): Promise<FileExplanation> {
  const { map, picture: _, placement: __, ...told } = explanation;
  const files = [ending, ".npy", ".json"].map((own) => name + own) as [string, string, string];
  await writeFile(files[0], drawn);
  await writeFile(files[1], encodeNpy(map.data, [map.height, map.width]));
  const { height, width } = map;
  const result = { file, ...told, map: { height, width }, ...(measured && { fidelity: measured }), files };
  await replaceText(files[2], `${JSON.stringify(result, null, 2)}\n`);
  return result;
}

/** A line an image: what it is called or that a human should look at it, what was looked for, and where. */
function explanationLines(explanations: readonly FileExplanation[]): string[] {
  const rows = explanations.map((one): DecidedRow => {
    if ("error" in one) return { place: [], error: one.error };
    const { label, probability, explained, peak } = one;
    const called = Number.isNaN(probability) ? label : `${label} ${probabilityWords(probability)}`;
    const where = showsNothing(one)
      ? `nothing in the image speaks for ${explained}`
      : `${explained} at row ${peak.row}, column ${peak.column}`;
    const isReferred = one.decision === "refer";
    return {
      place: [endOf(shortPath(one.file))],
      prediction: one,
      called: isReferred ? [called] : [called, where],
      below: [...(isReferred ? [`  ${where}`] : []), ...fidelityLines(one.fidelity)],
    };
  });
  return decidedLines(rows);
}

/** Below the line of an image, so that both fit. */
function fidelityLines(measured: Fidelity | undefined): string[] {
  if (!measured) return [];
  const { deletion, insertion, random } = measured;
  return [
    `  deletion ${decimals(deletion)} (chance ${decimals(random.deletion)}), insertion ${decimals(insertion)} (chance ${decimals(random.insertion)})`,
  ];
}
