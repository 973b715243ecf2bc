// Trains together with the other ranks:  node train.mjs JOB.json
//
// The job holds images as for train-process.mjs, options of the model and of fit, and perhaps: `frozen`, BatchNorm that only uses its
// statistics; `bad`, an image that one rank cannot read; `lost`, a rank that is killed when it has read so many images; `joins`, that
// `fit` is given no group.
// Says "step N" after each step, on rank 0, and in the end what it has, as JSON. SIGTERM stops it.
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import {
  data,
  distributed,
  fit as fitModel,
  MedMamba,
  MedMambaError,
  manualSeed,
} from "../../../dist/index.js";

const {
  train,
  validation,
  model: made,
  options,
  frozen,
  bad,
  lost,
  joins,
} = JSON.parse(readFileSync(process.argv[2], "utf8"));
const dataset = ({ pixels, ...about }) =>
  data.fromArrays({ images: new Uint8Array(Buffer.from(pixels, "base64")), ...about });

const stop = new AbortController();
process.once("SIGTERM", () => stop.abort(new Error("stopped")));
let steps = 0;
let group;
try {
  group = joins ? undefined : await distributed.init({ patience: 30 });
  manualSeed(1 + Number(group?.rank ?? process.env.RANK)); // Rank 0's weights are everybody's.
  const model = new MedMamba(made);
  if (frozen) {
    const { train: set } = model;
    model.train = () => set.call(model, false);
  }
  const images = dataset(train);
  if (bad && bad.rank === group?.rank) {
    const { sample } = images;
    images.sample = (index) =>
      index === bad.index
        ? Promise.reject(new Error(`image ${index} is broken`))
        : sample.call(images, index);
  }
  if (lost && lost.rank === group?.rank) {
    const { sample } = images;
    let left = lost.images;
    images.sample = (index) =>
      left-- > 0 ? sample.call(images, index) : process.kill(process.pid, "SIGKILL");
  }
  const result = await fitModel(model, {
    ...options,
    group,
    train: images,
    validation: dataset(validation),
    signal: stop.signal,
    onProgress: ({ type }) => {
      if (type === "step") process.stdout.write(`step ${++steps}\n`);
    },
  });
  const hash = createHash("sha256");
  for (const weight of Object.values(model.stateDict()))
    hash.update(new Uint8Array((await weight.data()).buffer));
  const { history, best, stopped, thresholds } = result;
  const losses = history.map(({ trainLoss, validation }) => [trainLoss, validation.loss, validation.auc]);
  const carriage = group?.carriage ?? { worldSize: Number(process.env.WORLD_SIZE), engine: "tcp" };
  const said = { hash: hash.digest("hex"), losses, best: best?.epoch, stopped, thresholds, carriage };
  process.stdout.write(`${JSON.stringify(said)}\n`);
} catch (error) {
  process.stderr.write(`${error.name}: ${error.message}\n`);
  if (!(error instanceof MedMambaError)) process.stderr.write(`${error.stack}\n`);
  process.exitCode = 1;
} finally {
  await group?.close();
}
