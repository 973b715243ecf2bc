// A sum in a worker and in the main thread at once: the same bits. Prints the sum.
import { isMainThread, parentPort, Worker } from "node:worker_threads";
import { manualSeed, matmul, openDevice, randn, sum } from "../../dist/index.js";

const device = openDevice("cpu", { threads: 2 });
manualSeed(3);
const own = await sum(matmul(randn([200, 300], { device }), randn([300, 100], { device }))).item();
device.close();
if (!isMainThread) parentPort.postMessage(own);
else {
  const worker = new Worker(new URL(import.meta.url));
  const other = await new Promise((resolve, reject) => worker.once("message", resolve).once("error", reject));
  await worker.terminate();
  if (!Object.is(other, own)) throw new Error(`the worker's sum is ${other}, the main thread's ${own}`);
  console.log(own);
}
