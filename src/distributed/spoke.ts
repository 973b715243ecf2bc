/** The end of every other rank: it finds rank 0, joins, and hears from it. */
import { connect } from "node:net";
import { type Introduction, inWordsOf, isProof, newChallenge, proofOf } from "./admission.js";
import { FrameSocket } from "./frame-socket.js";
import { decoded, encoded, type Frame, frameKinds } from "./frames.js";
import {
  everyPulse,
  frozenWords,
  goneWords,
  introductionSeconds,
  type Line,
  type LineEvent,
  type LineOrder,
  longestPause,
  type Membership,
  nameOf,
  newsAfter,
  silenceSeconds,
} from "./line.js";

/** Milliseconds between two attempts. */
const pause = 100;

export class Spoke implements Line {
  readonly #membership: Membership;
  readonly #tell: (event: LineEvent) => void;
  readonly #deadline: number;
  readonly #pulse: NodeJS.Timeout;
  #connection: FrameSocket | undefined;
  /** Attempts so far. */
  #attempts = 0;
  /** Rank 0, once it has shown that it is. */
  #root: Introduction | undefined;
  #isComplete = false;
  #isOver = false;
  /** What kept it out at the last attempt. */
  #obstacle = "";
  #newsAt: number;

  constructor(membership: Membership, tell: (event: LineEvent) => void) {
    this.#membership = membership;
    this.#tell = tell;
    const now = performance.now();
    this.#deadline = now + 1000 * membership.patience;
    this.#newsAt = now + newsAfter(membership);
    this.#pulse = everyPulse((now, wasAwake) => this.#watch(now, wasAwake));
    this.#attempt();
  }

  order(order: LineOrder): void {
    const connection = this.#connection;
    if (order.type === "part") connection?.send(frameKinds.part, order.bytes);
    else if (order.type === "failure") {
      const { message, stopped } = order;
      connection?.send(frameKinds.failure, encoded({ message, stopped }));
    } else if (order.type === "leave") connection?.send(frameKinds.bye);
  }

  async close(): Promise<void> {
    this.#isOver = true;
    clearInterval(this.#pulse);
    const connection = this.#connection;
    if (!connection || connection.isOver) return;
    await Promise.race([connection.end(), new Promise((resolve) => setTimeout(resolve, 500).unref())]);
    connection.destroy();
  }

  // ---- joining ----------------------------------------------------------------------------------------------------

  #attempt(): void {
    if (this.#isOver) return;
    const { host, port } = this.#membership.address;
    if (performance.now() > this.#deadline) {
      const { self, patience } = this.#membership;
      this.#refuse(
        `rank ${self.rank} found no rank 0 of its job on port ${port} of ${host} within ${patience} seconds${this.#why}.`,
      );
      return;
    }
    const challenge = newChallenge();
    const socket = connect({ host: this.#nextHost(), port, noDelay: true });
    const left = this.#deadline - performance.now();
    const tooLate = setTimeout(
      () => {
        this.#obstacle ||= socket.connecting
          ? "nothing answers there"
          : "what answers there does not say who it is";
        socket.destroy();
      },
      Math.min(1000 * introductionSeconds, left),
    );
    const hear = (frame: Frame): void => {
      if (this.#root) this.#hear(frame);
      else this.#join(connection, frame, challenge);
      if (!this.#root) return;
      clearTimeout(tooLate);
      connection.trust();
    };
    const connection = new FrameSocket(socket, hear, () => {
      this.#obstacle = "what answers there speaks another language";
    });
    this.#connection = connection;
    socket.on("error", (error) => {
      this.#obstacle ||= reasonOf(error);
    });
    socket.on("close", () => {
      clearTimeout(tooLate);
      if (this.#isOver) return;
      if (this.#root && this.#isComplete) this.#end(goneWords(nameOf(this.#root)));
      else {
        this.#root = undefined;
        setTimeout(() => this.#attempt(), pause);
      }
    });
  }

  /** Those that the address has, in turn: by which one rank 0 is reached from here is not known. */
  #nextHost(): string {
    const { host, others = [] } = this.#membership.address;
    const all = [host, ...others];
    return all[this.#attempts++ % all.length] as string;
  }

  get #why(): string {
    return this.#obstacle && `: ${this.#obstacle}`;
  }

  #join(connection: FrameSocket, { kind, bytes }: Frame, challenge: string): void {
    const { token, self } = this.#membership;
    if (kind === frameKinds.challenge) {
      const proof = proofOf(token, String(decoded(bytes)), inWordsOf(self));
      connection.send(frameKinds.hello, encoded({ ...self, proof, challenge }));
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
    } else if (kind === frameKinds.refusal && !this.#isComplete) this.#refuse(`${String(decoded(bytes))}.`);
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
    const connection = this.#connection;
    if (connection && !wasAwake) connection.heard = now;
    if (!this.#root) {
      if (now > this.#newsAt) this.#tellNews();
      return;
    }
    connection?.send(frameKinds.pulse);
    const silent = connection ? now - connection.heard : 0;
    if (this.#isComplete && silent > 1000 * silenceSeconds) this.#end(frozenWords(nameOf(this.#root)));
    else if (!this.#isComplete && silent > longestPause(this.#membership)) connection?.destroy(); // To find it again.
  }

  #tellNews(): void {
    const { address, patience, self } = this.#membership;
    this.#newsAt = Number.POSITIVE_INFINITY;
    this.#tell({
      type: "waiting",
      news: `rank ${self.rank} looks for rank 0 on port ${address.port} of ${address.host}, for at most ${patience} seconds${this.#why}.`,
    });
  }

  #end(reason: string): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#tell({ type: "end", reason });
  }
}

/** Of a name with several addresses there is one error each, and none for all. */
function reasonOf(error: Error): string {
  const [first] = error instanceof AggregateError ? error.errors : [error];
  return first instanceof Error ? first.message : error.message;
}
