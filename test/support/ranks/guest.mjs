// What MPI does to its host once it has begun, as one JSON line:  node guest.mjs
// Code of libc that was written over shows as pages that are this process's own; a WebAssembly module that reads outside of
// its memory is to throw, which V8 learns by a SIGSEGV.
import { readFileSync } from "node:fs";
import { distributed } from "../../../dist/index.js";

// (module (memory 1) (func (export "read") (result i32) i32.const 1000000 i32.load))
const astray = new WebAssembly.Module(
  Buffer.from("AGFzbQEAAAABBQFgAAF/AwIBAAUDAQABBwgBBHJlYWQAAAoLAQkAQcCEPSgCAAs=", "base64"),
);

function writtenKilobytesOfLibc() {
  const mappings = readFileSync("/proc/self/smaps", "utf8").split(/\n(?=[0-9a-f]+-[0-9a-f]+ )/);
  const code = mappings.filter((mapping) => /^\S+ r-xp .*\/libc\.so/.test(mapping));
  return code.reduce((sum, mapping) => sum + Number(/^Private_Dirty:\s+(\d+)/m.exec(mapping)[1]), 0);
}

function trap() {
  try {
    return new WebAssembly.Instance(astray).exports.read();
  } catch (error) {
    return error.name;
  }
}

const group = await distributed.init({ patience: 20 });
process.stdout.write(
  `${JSON.stringify({ engine: group.carriage.engine, written: writtenKilobytesOfLibc(), trap: trap() })}\n`,
);
await group.close();
