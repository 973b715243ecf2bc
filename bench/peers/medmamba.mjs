// The same measurement as pytorch.py, of this package: one task in a process of its own, so that the peak memory
// is that task's.
//
//   node bench/peers/medmamba.mjs --task training --batch 8
//
// Beside the process's peak it reports the tensors' own, `peakTensorBytes`, and what of it stays between two steps
// whatever the batch, `steadyBytes`: parameters, and in training their gradients and AdamW's moments.
import { parseArgs } from "node:util";
import { crossEntropy, MedMamba, noGrad, openDevice, optim, randn, tensor } from "../../dist/index.js";

const { values: options } = parseArgs({
  options: {
    task: { type: "string", default: "inference" },
    batch: { type: "string", default: "8" },
    "image-size": { type: "string", default: "224" },
    variant: { type: "string", default: "tiny" },
    threads: { type: "string", default: "2" },
    warmup: { type: "string", default: "1" },
    repeats: { type: "string", default: "5" },
    budget: { type: "string", default: "40" },
    checkpointing: { type: "boolean", default: false },
  },
});
const [batch, size] = [Number(options.batch), Number(options["image-size"])];
const device = openDevice("cpu", { threads: Number(options.threads) });
const model = new MedMamba({ variant: options.variant, device });
model.checkpointing = options.checkpointing;
const images = randn([batch, 3, size, size], { device });
const step = options.task === "training" ? training() : inference();
const seconds = await measure(step, Number(options.warmup), Number(options.repeats), Number(options.budget));
console.log(
  JSON.stringify({
    name: `medmamba, Node ${process.version}`,
    ...options,
    batch,
    parameters: model.parameterCount,
    seconds,
    peakBytes: 1024 * process.resourceUsage().maxRSS,
    peakTensorBytes: device.memory().peakBytes,
    steadyBytes: device.memory().bytes - 4 * images.size,
    device: device.describe(),
  }),
);

function inference() {
  model.eval();
  return () => noGrad(() => model.forward(images)).dispose();
}

function training() {
  const classes = Int32Array.from({ length: batch }, (_, i) => i % model.config.numClasses);
  const labels = tensor(classes, [batch], { dtype: "int64", device });
  const optimizer = new optim.AdamW(model.parameters(), { lr: 1e-4 });
  return () => {
    optimizer.zeroGrad();
    const loss = crossEntropy(model.forward(images), labels);
    loss.backward();
    optimizer.step();
    loss.dispose();
  };
}

/** Seconds of each repeat: as many as asked for and more until three seconds are over; see pytorch.py. */
async function measure(step, warmup, repeats, budget) {
  const begin = performance.now();
  const timed = async () => {
    const start = performance.now();
    step();
    await device.synchronize();
    return (performance.now() - start) / 1000;
  };
  for (let i = 0; i < warmup; ++i) await timed();
  for (const seconds = []; ; ) {
    seconds.push(await timed());
    const elapsed = (performance.now() - begin) / 1000;
    const enough = seconds.length >= repeats && elapsed >= 3;
    if (enough || (seconds.length >= 2 && elapsed >= budget)) return seconds;
  }
}
