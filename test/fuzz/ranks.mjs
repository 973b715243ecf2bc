/** Two ranks of which one is a file: what it sends is in there, and the other is what it always is. */
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import { inWordsOf, newChallenge, proofOf } from "../../dist/distributed/admission.js";
import { Control } from "../../dist/distributed/control.js";
import {
  decoded,
  encoded,
  FrameReader,
  frameHeader,
  frameKinds,
  packList,
  packPart,
} from "../../dist/distributed/frames.js";
import { lineOf } from "../../dist/distributed/open-line.js";
import { freePort } from "../../dist/distributed/spawn.js";
import { packageVersion } from "../../dist/native/package-version.js";

const token = "a job";
/** Stands in the file for what only the two of a connection know. */
const placeholder = "p".repeat(64);
const failure = "image 7 is broken";

const about = (rank) => ({ rank, worldSize: 2, version: packageVersion, host: "here", pid: 1 });
const frame = (kind, bytes = new Uint8Array(0)) => Buffer.concat([frameHeader(kind, bytes.length), bytes]);

/** What a rank says to rank 0. */
export const framesOfRank = Buffer.concat([
  frame(frameKinds.hello, encoded({ ...about(1), proof: placeholder, challenge: newChallenge() })),
  frame(frameKinds.pulse),
  frame(frameKinds.part, packPart(0, "gather", encoded({ rank: 1 }))),
  frame(frameKinds.failure, encoded({ message: failure, stopped: false })),
  frame(frameKinds.bye),
]);

/** What rank 0 says to a rank, once it has asked who it is. */
export const framesOfRank0 = Buffer.concat([
  frame(frameKinds.welcome, encoded({ ...about(0), proof: placeholder })),
  frame(frameKinds.complete),
  frame(frameKinds.pulse),
  frame(frameKinds.answer, packList([encoded({ rank: 0 }), encoded({ rank: 1 })])),
  frame(frameKinds.failure, encoded({ rank: 0, message: failure, stopped: false })),
  frame(frameKinds.bye),
]);

/** The file's bytes, with the proof in the place that is kept for it. */
function withProof(path, proof) {
  const bytes = readFileSync(path);
  const at = bytes.indexOf(placeholder);
  if (at >= 0) bytes.write(proof, at, "latin1");
  return bytes;
}

/** Gives to a common call, as `group.gather` does, in this thread: the end of the job is not that of the process. */
async function work(rank, port) {
  const address = { host: "127.0.0.1", port };
  const open = (membership, tell) => {
    const line = lineOf(membership, tell);
    return { order: (order) => line.order(order), close: () => line.close(), expect: () => {} };
  };
  const control = await Control.join({ rank, worldSize: 2, address, token, patience: 0.3 }, open);
  try {
    await control.exchange("gather", encoded({ rank }));
  } catch (error) {
    if (!error.message.endsWith(failure)) throw error; // That it heard of, as it should.
  } finally {
    await control.close();
  }
}

/** Sends a file's bytes when the other side has said what it says first. */
function answer(socket, bytesFor) {
  const reader = new FrameReader();
  let done = false;
  socket.on("error", () => {});
  socket.on("data", (piece) => {
    for (const { bytes } of done ? [] : reader.take(piece)) {
      done = true;
      socket.end(bytesFor(decoded(bytes)));
      return;
    }
  });
}

/** Rank 0 hears of another rank what is in the file. */
export async function hearRank(path) {
  const port = await freePort();
  const worked = work(0, port);
  worked.catch(() => {});
  let socket;
  do socket = connect(port, "127.0.0.1");
  while (!(await once(socket, "connect").catch(() => false)));
  answer(socket, (challenge) => withProof(path, proofOf(token, challenge, inWordsOf(about(1)))));
  try {
    await worked;
  } finally {
    socket.destroy();
  }
}

/** Another rank hears of rank 0 what is in the file. */
export async function hearRank0(path) {
  const sockets = new Set();
  const server = createServer((socket) => {
    sockets.add(socket);
    answer(socket, ({ challenge }) => withProof(path, proofOf(token, challenge, inWordsOf(about(0)))));
    socket.write(frame(frameKinds.challenge, encoded(newChallenge())));
  }).listen(0);
  await once(server, "listening");
  try {
    await work(1, server.address().port);
  } finally {
    server.close();
    for (const socket of sockets) socket.destroy();
  }
}
