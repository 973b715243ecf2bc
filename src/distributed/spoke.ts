/** The end of every other rank: it finds rank 0, joins, and hears from it. */
import { connect, type Socket } from "node:net";
import { type Introduction, inWordsOf, isProof, newChallenge, proofOf } from "./admission.js";
import {
  decoded,
  encoded,
  type Frame,
  type FrameKind,
  FrameReader,
  frameHeader,
  frameKinds,
  frameLimit,
} from "./frames.js";
import {
  everyPulse,
  frozenWords,
  goneWords,
  type Line,
  type LineEvent,
  type LineOrder,
  type Membership,
  nameOf,
  silenceSeconds,
} from "./line.js";

/** Milliseconds between two attempts. */
const pause = 100;

export class Spoke implements Line {
  readonly #membership: Membership;
  readonly #tell: (event: LineEvent) => void;
  readonly #deadline: number;
  readonly #pulse: NodeJS.Timeout;
  #socket: Socket | undefined;
  /** Rank 0, once it has shown that it is. */
  #root: Introduction | undefined;
  #heard = performance.now();
  #isComplete = false;
  #isOver = false;
  /** What kept it out at the last attempt. */
  #obstacle = "";

  constructor(membership: Membership, tell: (event: LineEvent) => void) {
    this.#membership = membership;
    this.#tell = tell;
    this.#deadline = performance.now() + 1000 * membership.patience;
    this.#pulse = everyPulse((now, wasAwake) => this.#watch(now, wasAwake));
    this.#attempt();
  }

  order(order: LineOrder): void {
    if (order.type === "part") this.#send(frameKinds.part, order.bytes);
    else if (order.type === "failure") {
      const { message, stopped } = order;
      this.#send(frameKinds.failure, encoded({ message, stopped }));
    } else if (order.type === "leave") this.#send(frameKinds.bye, new Uint8Array(0));
  }

  async close(): Promise<void> {
    this.#isOver = true;
    clearInterval(this.#pulse);
    const socket = this.#socket;
    if (!socket || socket.destroyed) return;
    await new Promise<void>((resolve) => {
      setTimeout(resolve, 500).unref();
      socket.end(resolve);
    });
    socket.destroy();
  }

  // ---- joining ----------------------------------------------------------------------------------------------------

  #attempt(): void {
    if (this.#isOver) return;
    const { host, port } = this.#membership.address;
    if (performance.now() > this.#deadline) {
      const why = this.#obstacle && `: ${this.#obstacle}`;
      const { self, patience } = this.#membership;
      this.#refuse(
        `rank ${self.rank} found no rank 0 of its job on port ${port} of ${host} within ${patience} seconds${why}.`,
      );
      return;
    }
    const challenge = newChallenge();
    const reader = new FrameReader();
    const socket = connect({ host, port, noDelay: true });
    this.#socket = socket;
    socket.setTimeout(5000, () => {
      if (!this.#root) socket.destroy();
    });
    socket.on("error", (error) => {
      this.#obstacle ||= error.message;
    });
    socket.on("data", (piece) => {
      this.#heard = performance.now();
      try {
        for (const frame of reader.take(piece)) {
          if (this.#root) this.#hear(frame);
          else this.#join(frame, challenge);
          if (this.#root) reader.limit = frameLimit;
        }
      } catch {
        this.#obstacle = "what answers there speaks another language";
        socket.destroy();
      }
    });
    socket.on("close", () => {
      if (this.#isOver) return;
      if (this.#root && this.#isComplete) this.#end(goneWords(nameOf(this.#root)));
      else {
        this.#root = undefined;
        setTimeout(() => this.#attempt(), pause);
      }
    });
  }

  #join({ kind, bytes }: Frame, challenge: string): void {
    const { token, self } = this.#membership;
    if (kind === frameKinds.challenge) {
      const proof = proofOf(token, String(decoded(bytes)), inWordsOf(self));
      this.#send(frameKinds.hello, encoded({ ...self, proof, challenge }));
    } else if (kind === frameKinds.welcome) {
      const { proof, ...root } = decoded(bytes) as Introduction & { proof?: unknown };
      if (!isProof(proof, token, challenge, inWordsOf(root))) throw new RangeError("this is not rank 0");
      this.#root = root;
    } else if (kind === frameKinds.refusal) {
      this.#obstacle = String(decoded(bytes));
    }
  }

  #refuse(reason: string): void {
    if (this.#isOver) return;
    this.#tell({ type: "refused", reason });
    void this.close();
  }

  // ---- working together -------------------------------------------------------------------------------------------

  #hear({ kind, bytes }: Frame): void {
    if (kind === frameKinds.answer) this.#tell({ type: "answer", bytes });
    else if (kind === frameKinds.complete) {
      this.#isComplete = true;
      this.#tell({ type: "complete" });
    } else if (kind === frameKinds.refusal) this.#refuse(`${String(decoded(bytes))}.`);
    else if (kind === frameKinds.failure) {
      const { rank, message, stopped } = decoded(bytes) as {
        rank: number;
        message: string;
        stopped: boolean;
      };
      this.#tell({ type: "failure", rank, message, stopped });
    } else if (kind === frameKinds.bye) {
      this.#isOver = true; // Whatever becomes of the connection now is no loss.
      clearInterval(this.#pulse);
      this.#tell({ type: "left", rank: 0 });
    } else if (kind === frameKinds.end) this.#end(String(decoded(bytes)));
  }

  #watch(now: number, wasAwake: boolean): void {
    if (!wasAwake) this.#heard = now;
    if (!this.#root) return;
    this.#send(frameKinds.pulse, new Uint8Array(0));
    if (this.#isComplete && now - this.#heard > 1000 * silenceSeconds)
      this.#end(frozenWords(nameOf(this.#root)));
  }

  #end(reason: string): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#tell({ type: "end", reason });
  }

  #send(kind: FrameKind, bytes: Uint8Array): void {
    const socket = this.#socket;
    if (!socket || socket.destroyed || !socket.writable) return;
    socket.cork();
    socket.write(frameHeader(kind, bytes.length));
    socket.write(bytes);
    socket.uncork();
  }
}
