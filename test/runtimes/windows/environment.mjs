// What a program sets in its environment before the first operation is what native code goes by. Prints level and threads.
import { openDevice } from "../../../dist/index.js";

Object.assign(process.env, { MEDMAMBA_SIMD: "portable", MEDMAMBA_THREADS: "3" });
const { simd, threads } = openDevice("cpu").describe();
console.log(simd, threads);
