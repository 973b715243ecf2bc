// Ends workers while their devices compute, one after another, and goes on computing. Prints how many.
import { isMainThread, parentPort, Worker } from "node:worker_threads";
import { matmul, openDevice, randn, sum } from "../../../dist/index.js";

const device = openDevice("cpu", { threads: 2 });
const compute = () => sum(matmul(randn([300, 300], { device }), randn([300, 300], { device }))).item();

if (!isMainThread) {
  parentPort.postMessage("begun");
  for (;;) await compute();
}
let ended = 0;
for (; ended < 10; ended++) {
  const worker = new Worker(new URL(import.meta.url));
  await new Promise((resolve, reject) => worker.once("message", resolve).once("error", reject));
  await new Promise((resolve) => setTimeout(resolve, 5 * ended));
  await worker.terminate();
  await compute();
}
device.close();
console.log(`${ended} workers ended`);
