// Whether a device computes what it should: golden files, the same bits twice, the CPU's losses, an out-of-memory that
// is survived. Needs the built package only; prints a line a check.
//
//   node scripts/gpu-golden.mjs [--device cuda] [--precision float32,tf32,bf16] [--names scan_small,model_odd]
import { readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import {
  crossEntropy,
  MedMamba,
  manualSeed,
  nn,
  noGrad,
  openDevice,
  optim,
  randn,
  safetensors,
  selectiveScan,
  Tensor,
  tensor,
} from "../dist/index.js";

const { values: options } = parseArgs({
  options: {
    device: { type: "string", default: "cuda" },
    precision: { type: "string", default: "float32,tf32,bf16" },
    names: { type: "string" },
  },
});
const root = dirname(dirname(fileURLToPath(import.meta.url)));
/** Relative errors (Euclidean) that are allowed: results, gradients. */
const tolerances = { float32: [1e-5, 1e-4], tf32: [2e-3, 1e-2], bf16: [2e-2, 5e-2] };
const checks = [];

function report(name, holds, detail) {
  checks.push({ name, holds, ...detail });
  console.log(
    `${holds ? "ok    " : "FAILED"} ${name}  ${Object.entries(detail)
      .map(([key, value]) => `${key} ${value}`)
      .join(", ")}`,
  );
}

async function relativeError(actual, expected) {
  const [a, b] = [await actual.data(), await expected.data()];
  let [difference, size] = [0, 0];
  for (let i = 0; i < b.length; ++i) {
    difference += (a[i] - b[i]) ** 2;
    size += b[i] ** 2;
  }
  // A true gradient of zero, as of a bias in front of a BatchNorm, has no relative error.
  return Math.sqrt(size) < 1e-6 * Math.sqrt(b.length) ? Math.sqrt(difference) : Math.sqrt(difference / size);
}

const under = (golden, prefix) =>
  Object.fromEntries(
    Object.entries(golden)
      .filter(([name]) => name.startsWith(prefix))
      .map(([name, value]) => [name.slice(prefix.length), value]),
  );
const parameters = (golden) =>
  Object.fromEntries(
    Object.entries(golden).filter(([name]) => !/^(out|grad|after)\.|^(x|dy|images|labels)$/.test(name)),
  );

/** The result of a golden file and its leaves by the names of their gradients. */
function compute(name, golden, device) {
  if (name.startsWith("scan_")) {
    const leaf = (key) => golden[key] && Object.assign(golden[key], { requiresGrad: true });
    const inputs = {
      u: leaf("u"),
      delta: leaf("delta"),
      A: leaf("A"),
      B: leaf("B"),
      C: leaf("C"),
      D: leaf("D"),
      z: leaf("z"),
    };
    const deltaBias = leaf("delta_bias");
    return {
      y: selectiveScan({ ...inputs, deltaBias }, { deltaSoftplus: true }),
      leaves: { ...inputs, delta_bias: deltaBias },
    };
  }
  if (name.startsWith("model_")) {
    const model = new MedMamba({
      depths: [1, 1, 2, 1],
      dims: [16, 32, 64, 128],
      numClasses: 5,
      dropPathRate: 0,
      device,
    });
    model.loadStateDict(parameters(golden));
    return {
      y: crossEntropy(model.train().forward(golden.images), golden.labels),
      leaves: Object.fromEntries(model.namedParameters()),
    };
  }
  const channels = golden.x.shape.at(-1);
  const module = name.startsWith("ss2d")
    ? new nn.SS2D(channels, 16, { device })
    : new nn.SSConvSSM(channels, { device });
  module.loadStateDict(parameters(golden));
  const x = Object.assign(golden.x, { requiresGrad: true });
  return {
    y: module.train(name.startsWith("block_train")).forward(x),
    leaves: { x, ...Object.fromEntries(module.namedParameters()) },
  };
}

async function checkGolden(name, device, precision) {
  const golden = await safetensors.load(join(root, "test/fixtures", `${name}.safetensors`), { device });
  const { y, leaves } = compute(name, golden, device);
  const result = await relativeError(y, golden["out.y"] ?? golden["out.train_loss"]);
  y.backward(golden.dy ? { gradient: golden.dy } : {});
  let gradient = 0;
  for (const [key, expected] of Object.entries(under(golden, "grad."))) {
    gradient = Math.max(gradient, await relativeError(leaves[key].grad, expected));
  }
  const [forResult, forGradient] = tolerances[precision];
  const detail = { result: result.toExponential(1), gradient: gradient.toExponential(1) };
  report(`golden ${name} ${precision}`, result <= forResult && gradient <= forGradient, detail);
}

/** Losses of ten steps of a small network. */
async function train(device) {
  manualSeed(1);
  const model = new MedMamba({ depths: [1, 1], dims: [16, 32], numClasses: 3, dropPathRate: 0.1, device });
  const optimizer = new optim.AdamW(model.parameters(), { lr: 1e-3 });
  const images = randn([4, 3, 16, 24], { device });
  const labels = tensor([0, 1, 2, 0], [4], { dtype: "int64", device });
  const losses = [];
  for (let step = 0; step < 10; ++step) {
    optimizer.zeroGrad();
    const loss = crossEntropy(model.forward(images), labels);
    loss.backward();
    optimizer.clipGradNorm(1);
    optimizer.step();
    losses.push(await loss.item());
    loss.dispose();
  }
  const weights = await Promise.all([...model.parameters()].map((parameter) => parameter.data()));
  return { losses, weights };
}

const names =
  options.names?.split(",") ??
  readdirSync(join(root, "test/fixtures"))
    .filter((file) => file.endsWith(".safetensors"))
    .map((file) => file.slice(0, -".safetensors".length));
for (const precision of options.precision.split(",")) {
  const device = openDevice(options.device, { precision });
  for (const name of names) await checkGolden(name, device, precision);

  const [first, second] = [await train(device), await train(device)];
  const same =
    JSON.stringify(first.losses) === JSON.stringify(second.losses) &&
    first.weights.every(
      (weight, i) => Buffer.compare(Buffer.from(weight.buffer), Buffer.from(second.weights[i].buffer)) === 0,
    );
  report(`same bits twice ${precision}`, same, { losses: first.losses.length });

  if (precision === "float32") {
    const { losses } = await train(openDevice("cpu"));
    const worst = Math.max(...losses.map((loss, i) => Math.abs(loss - first.losses[i]) / Math.abs(loss)));
    report("the CPU's losses", worst <= 1e-4, { worst: worst.toExponential(1) });

    let refusal = "";
    try {
      Tensor.empty([2 ** 40], { device });
    } catch (error) {
      refusal = error.name;
    }
    const y = noGrad(() => randn([8], { device }).add(1));
    report(
      "survives running out of memory",
      refusal === "OutOfMemoryError" && (await y.data()).length === 8,
      { error: refusal },
    );
  }
  device.close();
}

const failed = checks.filter(({ holds }) => !holds).length;
console.log(`${checks.length - failed} passed, ${failed} failed`);
process.exitCode = failed ? 1 : 0;
