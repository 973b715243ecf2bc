// Trains in a process of its own, which a test may kill or deny the disk:  node train-process.mjs JOB.json
//
// The job holds pixels (base64), shape, labels and classes of the images, the same of the validation images, options of
// the model and of fit. Says "step N" after each step and "done" at the end; an error of the package is one line on
// stderr and exit code 1.
import { readFileSync } from "node:fs";
import { data, fit as fitModel, MedMamba, MedMambaError } from "../../dist/index.js";

const { train, validation, model, options } = JSON.parse(readFileSync(process.argv[2], "utf8"));
const dataset = ({ pixels, ...about }) =>
  data.fromArrays({ images: new Uint8Array(Buffer.from(pixels, "base64")), ...about });

let steps = 0;
try {
  await fitModel(new MedMamba(model), {
    ...options,
    train: dataset(train),
    validation: dataset(validation),
    onProgress: ({ type }) => {
      if (type === "step") process.stdout.write(`step ${++steps}\n`);
    },
  });
  process.stdout.write("done\n");
} catch (error) {
  if (!(error instanceof MedMambaError)) throw error;
  process.stderr.write(`${error.name}: ${error.message}\n`);
  process.exitCode = 1;
}
