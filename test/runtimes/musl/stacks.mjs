// Prints how large the stacks are of the threads that a device of three threads starts: its executor's and two helpers'.
import { readdirSync, readFileSync } from "node:fs";
import { matmul, openDevice, randn } from "../../../dist/index.js";

const threads = () => readdirSync("/proc/self/task");
const before = new Set(threads());
const device = openDevice("cpu", { threads: 3 });
await matmul(randn([200, 300], { device }), randn([300, 100], { device })).data();
await new Promise((resolve) => setTimeout(resolve, 100)); // until they sleep, which shows where their stacks are

const regions = readFileSync("/proc/self/maps", "utf8")
  .split("\n")
  .map((line) => /^(\w+)-(\w+) rw/.exec(line))
  .filter(Boolean)
  .map(([, from, to]) => ({ from: BigInt(`0x${from}`), to: BigInt(`0x${to}`) }));
const own = threads()
  .filter((thread) => !before.has(thread))
  .map((thread) => readFileSync(`/proc/self/task/${thread}/syscall`, "utf8").trim().split(" "))
  .filter((words) => words.length === 9) // asleep in a call
  .map((words) => BigInt(words[7]))
  .map((pointer) => regions.find(({ from, to }) => pointer >= from && pointer < to))
  .map(({ from, to }) => Number(to - from) / 1024);
console.log(JSON.stringify({ own }));
device.close();
