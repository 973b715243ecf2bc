/** A worker thread that trains a small MedMamba: a given number of steps, or until it is terminated. */
import { parentPort, workerData } from "node:worker_threads";
import { crossEntropy, MedMamba, manualSeed, memory, optim, randn, tensor } from "../../dist/index.js";

const { seed, steps, dims, imageSize } = workerData;
manualSeed(seed);
const model = new MedMamba({ depths: dims.map(() => 1), dims, numClasses: 3 });
const opt = new optim.AdamW(model.parameters(), { lr: 1e-3 });
const x = randn([2, 3, imageSize, imageSize]);
const y = tensor([0, 2], [2], { dtype: "int64" });
const losses = [];
for (let step = 0; step < steps; step += 1) {
  opt.zeroGrad();
  const loss = crossEntropy(model.forward(x), y);
  loss.backward();
  opt.step();
  if (step === 0) parentPort.postMessage("training");
  losses.push(await loss.item());
  loss.dispose();
}
parentPort.postMessage({ losses, tensors: memory().tensors });
