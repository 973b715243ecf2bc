/** Ranks that join in one process, and connections of others that may say anything. */
import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";
import { type Introduction, inWordsOf, newChallenge, proofOf } from "../../src/distributed/admission.js";
import { Control, type JoinOptions } from "../../src/distributed/control.js";
import {
  decoded,
  encoded,
  type FrameKind,
  FrameReader,
  frameHeader,
  frameKinds,
} from "../../src/distributed/frames.js";
import type { LineEvent, Membership } from "../../src/distributed/line.js";
import { lineOf, type OpenLine } from "../../src/distributed/open-line.js";
import { packageVersion } from "../../src/native/package-version.js";

const token = "a job";

/** Without a thread, so that the end of the job is not that of the process. */
function openHere(membership: Membership, tell: (event: LineEvent) => void): OpenLine {
  const line = lineOf(membership, tell);
  return { order: (order) => line.order(order), close: () => line.close(), expect: () => {} };
}

/** Joins, as rank 0 or another one. */
export function join(port: number, options: Partial<JoinOptions> & { rank: number }): Promise<Control> {
  const address = { host: "127.0.0.1", port };
  return Control.join({ worldSize: 2, address, token, patience: 5, ...options }, openHere);
}

/** What a rank says of itself. */
export const introduction = (changes: Partial<Introduction> = {}): Introduction => ({
  rank: 1,
  worldSize: 2,
  version: packageVersion,
  host: "gpu2",
  pid: 4711,
  ...changes,
});

const frame = (kind: FrameKind, bytes: Uint8Array) => Buffer.concat([frameHeader(kind, bytes.length), bytes]);

/** A connection to rank 0, once it listens. */
export async function reach(port: number): Promise<Socket> {
  for (;;) {
    const socket = connect(port, "127.0.0.1");
    const reached = await once(socket, "connect").catch(() => undefined);
    socket.on("error", () => {});
    if (reached) return socket;
  }
}

/** Introduces itself to rank 0 as its challenge wants it, and sends more. */
export async function comeAs(who: Introduction, port: number, ...more: Uint8Array[]): Promise<Socket> {
  const socket = await reach(port);
  const [piece] = await once(socket, "data");
  const [asked] = [...new FrameReader().take(piece)];
  const proof = proofOf(token, String(decoded(asked?.bytes ?? new Uint8Array(0))), inWordsOf(who));
  socket.write(frame(frameKinds.hello, encoded({ ...who, proof, challenge: newChallenge() })));
  for (const bytes of more) socket.write(bytes);
  return socket;
}

/** Listens where rank 0 should, and does with connections what it is told. */
export async function listen(welcome: (socket: Socket) => void): Promise<{ port: number; server: Server }> {
  const server = createServer((socket) => {
    socket.on("error", () => {});
    welcome(socket);
  }).listen(0);
  await once(server, "listening");
  const address = server.address();
  return { port: typeof address === "object" && address ? address.port : 0, server };
}

/** Lets a rank in, as rank 0 of three does, and says nothing more. */
export function welcomeRank(socket: Socket): void {
  const who = introduction({ rank: 0, worldSize: 3 });
  socket.write(frame(frameKinds.challenge, encoded(newChallenge())));
  socket.once("data", (piece) => {
    const [hello] = [...new FrameReader().take(piece)];
    const { challenge } = decoded(hello?.bytes ?? new Uint8Array(0)) as { challenge: string };
    const proof = proofOf(token, challenge, inWordsOf(who));
    socket.write(frame(frameKinds.welcome, encoded({ ...who, proof })));
  });
}

export { frame };
