// The same measurements as pytorch.py, of this package: one task in a process of its own, so that the peak memory
// is that task's.
//
//   node bench/peers/medmamba.mjs --task training --batch 8
//   node bench/peers/medmamba.mjs --task kernels --kernels conv3x3,scan4 --batch 16
//
// Beside its seconds, a step reports most memory that the process held (of a GPU, that tensors held), the tensors' own
// peak, and what of it stays between two steps whatever the batch, `steadyBytes`: parameters, and in training their
// gradients and AdamW's moments.
import { parseArgs } from "node:util";
import { kernelBenchmarks, plainConvolutions } from "../../dist/benchmark/kernels.js";
import { measureLimits } from "../../dist/benchmark/limits.js";
import { measure as measureKernel, paces } from "../../dist/benchmark/measure.js";
import { modelWork, stagesOf } from "../../dist/benchmark/work.js";
import { crossEntropy, MedMamba, noGrad, openDevice, optim, randn, tensor } from "../../dist/index.js";
import { medMambaConfig } from "../../dist/models/config.js";

const { values: options } = parseArgs({
  options: {
    task: { type: "string", default: "inference" },
    kernels: { type: "string", default: "" },
    device: { type: "string", default: "cpu" },
    precision: { type: "string", default: "float32" },
    batch: { type: "string", default: "8" },
    "image-size": { type: "string", default: "224" },
    variant: { type: "string", default: "tiny" },
    threads: { type: "string", default: "2" },
    warmup: { type: "string", default: "1" },
    repeats: { type: "string", default: "5" },
    budget: { type: "string", default: "40" },
    "kernel-seconds": { type: "string", default: "0.2" },
    checkpointing: { type: "boolean", default: false },
  },
});
const [batch, size] = [Number(options.batch), Number(options["image-size"])];
const onCpu = options.device === "cpu";
const device = openDevice(options.device, {
  precision: options.precision,
  ...(onCpu ? { threads: Number(options.threads) } : {}),
});
const tasks = { inference: network, training: network, kernels, limits };
const measured = await tasks[options.task]();
const name = `medmamba, Node ${process.version}`;
console.log(JSON.stringify({ name, ...options, batch, ...measured, device: device.describe() }));

// ---- steps of the network ------------------------------------------------------------------------------------

async function network() {
  const model = new MedMamba({ variant: options.variant, device });
  model.recompute = options.checkpointing;
  const images = randn([batch, 3, size, size], { device });
  const step = options.task === "training" ? training(model, images) : inference(model, images);
  const seconds = await measure(
    step,
    Number(options.warmup),
    Number(options.repeats),
    Number(options.budget),
  );
  const { bytes, peakBytes } = device.memory();
  const { totalBytes, freeBytes } = device.describe();
  return {
    parameters: model.parameterCount,
    work: modelWork(model.config, size),
    seconds,
    peakBytes: onCpu ? 1024 * process.resourceUsage().maxRSS : peakBytes,
    ...(onCpu ? {} : { heldBytes: totalBytes - freeBytes }),
    peakTensorBytes: peakBytes,
    steadyBytes: bytes - 4 * images.size,
  };
}

function inference(model, images) {
  model.eval();
  return () => noGrad(() => model.forward(images)).dispose();
}

function training(model, images) {
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

/** Seconds of each repeat: as many as asked for and more until three seconds are over; see measuring.py. */
async function measure(step, warmup, repeats, budget) {
  const timed = async () => {
    const start = performance.now();
    step();
    await device.synchronize();
    return (performance.now() - start) / 1000;
  };
  for (let i = 0; i < warmup; ++i) await timed();
  const begin = performance.now();
  for (const seconds = []; ; ) {
    seconds.push(await timed());
    const elapsed = (performance.now() - begin) / 1000;
    const enough = seconds.length >= repeats && elapsed >= 3;
    if (enough || (seconds.length >= 2 && elapsed >= budget)) return seconds;
  }
}

// ---- kernels, and what the machine can do --------------------------------------------------------------------

/** Median seconds of each kernel whose name begins with one of `--kernels`, with what it costs at least. */
async function kernels() {
  const wanted = options.kernels.split(",");
  const stages = stagesOf(medMambaConfig({ variant: options.variant }), size);
  const benchmarks = stages
    .flatMap((stage) => [
      ...kernelBenchmarks(stage, batch).filter(({ name }) => !name.startsWith("conv3x3")),
      ...plainConvolutions(stage, batch),
    ])
    .filter(({ name }) => wanted.some((prefix) => name.startsWith(prefix)));
  const pace = { ...paces.thorough, seconds: Number(options["kernel-seconds"]) };
  const rows = [];
  for (const { name, shape, cost, open } of benchmarks) {
    const opened = open(device);
    const { seconds } = await measureKernel(device, opened, pace);
    opened.close();
    rows.push({ name, shape, cost, seconds });
  }
  return { rows: [...rows, ...bothWays(rows)] };
}

/** What PyTorch's tape does in one go: forward, then backward. */
function bothWays(rows) {
  return rows
    .filter(({ name }) => /scan4? backward$/.test(name))
    .map((backward) => {
      const name = backward.name.replace("backward", "forward");
      const forward = rows.find((row) => row.name === name && row.shape === backward.shape);
      const sum = (field) => forward.cost[field] + backward.cost[field];
      return {
        name: `${name} and backward`,
        shape: backward.shape,
        cost: {
          multiplyAdds: sum("multiplyAdds"),
          exponentials: sum("exponentials"),
          bytes: sum("bytes"),
        },
        seconds: forward.seconds + backward.seconds,
      };
    });
}

async function limits() {
  return { limits: await measureLimits(device, onCpu ? paces.thorough : paces.gpu, false) };
}
