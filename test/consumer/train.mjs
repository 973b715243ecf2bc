// The same with `import`, on the main thread and at the same time in a worker; and whether both ways give the same classes.
import { createRequire } from "node:module";
import { isMainThread, parentPort, Worker } from "node:worker_threads";
import { Tensor } from "medmamba";

const require = createRequire(import.meta.url);
const train = require("./train.cjs");

if (!isMainThread) parentPort.postMessage(await train());
else {
  const inWorker = new Promise((resolve, reject) =>
    new Worker(new URL(import.meta.url)).once("message", resolve).once("error", reject),
  );
  const result = await train();
  const sameClasses = Tensor === require("medmamba").Tensor;
  console.log(JSON.stringify({ ...result, worker: await inWorker, sameClasses }));
}
