/**
 * The selective scan alone: checked against a loop that follows the formula, then timed.
 *
 *   node examples/kernels.ts [LENGTH]
 *
 * LENGTH is the number of steps of the sequences, 3136 unless told: the 56 x 56 pixels of MedMamba's first stage at 224 px.
 * `medmamba bench` measures every kernel, beside what the machine could do.
 */
import { manualSeed, noGrad, openDevice, rand, randn, selectiveScan, type Tensor, tidy } from "medmamba";

const length = Number(process.argv[2] ?? 3136);
const device = openDevice("cpu"); // "cuda" where there is a GPU
const { model, simd, threads } = device.describe();
console.log(`${model}, ${simd}, ${threads} threads`);

manualSeed(0);
const small = inputs(2, 5, 70, 3);
const error = await largestError(small);
console.log(`largest error against the formula, in float64: ${error.toExponential(1)}`);
if (!(error < 1e-4)) throw new Error("The kernel does not compute the selective scan.");

const [batch, channels, states] = [1, 192, 16];
const large = inputs(batch, channels, length, states);
const updates = batch * channels * length * states;
const forward = await seconds(() => noGrad(() => selectiveScan(large, { deltaSoftplus: true })).dispose());
const both = await seconds(() => tidy(() => selectiveScan(large, { deltaSoftplus: true }).mean().backward()));
for (const [name, time] of Object.entries({ forward, "forward and backward": both })) {
  const rate = (1e-9 * updates) / time;
  console.log(`${name}: ${(1e3 * time).toFixed(2)} ms, ${rate.toFixed(2)} billion states a second`);
}
device.close();

/** What a trained network would hand the scan: small steps, decaying states. */
function inputs(batch: number, channels: number, length: number, states: number) {
  const leaf = (x: Tensor) => Object.assign(x, { requiresGrad: true });
  const on = { device };
  return {
    u: leaf(randn([batch, channels, length], on)),
    delta: leaf(randn([batch, channels, length], on).sub(4)),
    A: leaf(rand([channels, states], on).mul(-15).sub(1)),
    B: leaf(randn([batch, states, length], on)),
    C: leaf(randn([batch, states, length], on)),
    D: leaf(randn([channels], on)),
  };
}

/** Of y, relative to its largest value; the loop is the definition, one channel and one state at a time. */
async function largestError(given: ReturnType<typeof inputs>): Promise<number> {
  const y = noGrad(() => selectiveScan(given, { deltaSoftplus: true }));
  const [batch = 0, channels = 0, length = 0] = y.shape;
  const states = given.A.shape[1] ?? 0;
  const [u, delta, A, B, C, D, actual] = await Promise.all(
    [given.u, given.delta, given.A, given.B, given.C, given.D, y].map((tensor) => tensor.data()),
  );
  const at = (values: Float32Array | Float64Array | undefined, index: number) =>
    values?.[index] ?? Number.NaN;
  let [difference, largest] = [0, 0];
  for (let b = 0; b < batch; ++b) {
    for (let d = 0; d < channels; ++d) {
      const h = new Float64Array(states);
      for (let t = 0; t < length; ++t) {
        const row = (b * channels + d) * length + t;
        const step = Math.log1p(Math.exp(at(delta, row)));
        let expected = at(D, d) * at(u, row);
        for (let n = 0; n < states; ++n) {
          const column = (b * states + n) * length + t;
          const kept = Math.exp(step * at(A, d * states + n)) * at(h, n);
          h[n] = kept + step * at(B, column) * at(u, row);
          expected += at(C, column) * (h[n] ?? 0);
        }
        difference = Math.max(difference, Math.abs(expected - at(actual, row)));
        largest = Math.max(largest, Math.abs(expected));
      }
    }
  }
  return difference / largest;
}

/** Median of several calls, each waited for; the first, which allocates, does not count. */
async function seconds(call: () => void): Promise<number> {
  const times: number[] = [];
  for (let i = 0; i < 12; ++i) {
    const start = performance.now();
    call();
    await device.synchronize();
    if (i > 0) times.push((performance.now() - start) / 1000);
  }
  return times.sort((a, b) => a - b)[Math.floor(times.length / 2)] ?? Number.NaN;
}
