/** Rank 0's end: it listens, lets those in who belong to the job, and watches over all. */
import { createServer, type Server, type Socket } from "node:net";
import { type Hello, helloOf, inWordsOf, isProof, newChallenge, proofOf } from "./admission.js";
import { FrameSocket } from "./frame-socket.js";
import { decoded, encoded, type Frame, type FrameKind, frameKinds } from "./frames.js";
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

/** Connections of which it is not known yet who they are: with more, the oldest has to go. */
const mostStrangers = 64;

interface Member {
  readonly hello: Hello;
  readonly connection: FrameSocket;
  left: boolean;
}

export class Hub implements Line {
  readonly #membership: Membership;
  readonly #tell: (event: LineEvent) => void;
  readonly #server: Server;
  readonly #members = new Map<number, Member>();
  /** In the order in which they came. */
  readonly #strangers = new Set<Socket>();
  readonly #pulse: NodeJS.Timeout;
  readonly #patience: NodeJS.Timeout;
  readonly #news: NodeJS.Timeout;
  #isComplete = false;
  #isOver = false;

  constructor(membership: Membership, tell: (event: LineEvent) => void) {
    this.#membership = membership;
    this.#tell = tell;
    const { port, host } = membership.address;
    this.#server = createServer({ noDelay: true }, (socket) => this.#meet(socket));
    this.#server.on("error", (error: NodeJS.ErrnoException) => {
      const why = error.code === "EADDRINUSE" ? "another process has it" : error.message;
      this.#refuse(
        `rank 0 cannot listen on port ${port} of ${host}: ${why}. Choose another by MASTER_PORT, or wait for the job that has it.`,
      );
    });
    // On every address of this machine: by which one the others come is theirs to know.
    this.#server.listen(port);
    this.#pulse = everyPulse((now, wasAwake) => this.#watch(now, wasAwake));
    this.#patience = setTimeout(() => this.#refuse(this.#whoCame()), 1000 * membership.patience);
    this.#news = setTimeout(() => this.#tellNews(), newsAfter(membership));
  }

  order(order: LineOrder): void {
    if (order.type === "answer") this.#toAll(frameKinds.answer, order.bytes);
    else if (order.type === "failure") {
      const { message, stopped } = order;
      this.#toAll(frameKinds.failure, encoded({ rank: 0, message, stopped }));
    } else if (order.type === "leave") this.#toAll(frameKinds.bye);
  }

  async close(): Promise<void> {
    this.#isOver = true;
    clearInterval(this.#pulse);
    clearTimeout(this.#patience);
    clearTimeout(this.#news);
    this.#server.close();
    for (const socket of this.#strangers) socket.destroy();
    const flushed = [...this.#members.values()].map(({ connection }) => connection.end());
    await Promise.race([Promise.all(flushed), new Promise((resolve) => setTimeout(resolve, 500).unref())]);
  }

  // ---- joining ----------------------------------------------------------------------------------------------------

  #meet(socket: Socket): void {
    socket.on("error", () => {}); // "close" follows
    if (this.#isOver) {
      socket.destroy();
      return;
    }
    // A rank says at once who it is; who says nothing keeps nobody else out.
    const [oldest] = this.#strangers;
    if (oldest && this.#strangers.size >= mostStrangers) oldest.destroy();
    this.#strangers.add(socket);
    const challenge = newChallenge();
    const tooLate = setTimeout(() => socket.destroy(), 1000 * introductionSeconds);
    let member: Member | undefined;
    const connection = new FrameSocket(socket, (frame) => {
      if (member) {
        this.#hear(member, frame);
        return;
      }
      member = this.#admit(connection, frame, challenge);
      if (!member) return;
      this.#strangers.delete(socket);
      clearTimeout(tooLate);
      connection.trust();
      this.#celebrate();
    });
    socket.on("close", () => {
      clearTimeout(tooLate);
      this.#strangers.delete(socket);
      if (member) this.#lose(member);
    });
    connection.send(frameKinds.challenge, encoded(challenge));
  }

  /** The one that introduces itself; undefined if it is none of the job, or cannot be taken. */
  #admit(connection: FrameSocket, frame: Frame, challenge: string): Member | undefined {
    const { token, self } = this.#membership;
    const hello = frame.kind === frameKinds.hello ? helloOf(decoded(frame.bytes)) : undefined;
    if (!hello || !isProof(hello.proof, token, challenge, inWordsOf(hello))) {
      this.#turnAway(connection, "it is of another job, or has another MEDMAMBA_JOB_TOKEN");
      return undefined;
    }
    const before = this.#members.get(hello.rank);
    const problem =
      hello.version !== self.version
        ? `${nameOf(hello)} has version ${hello.version} of this package, rank 0 has ${self.version}: install the same one everywhere`
        : hello.worldSize !== self.worldSize
          ? `${nameOf(hello)} was told of ${hello.worldSize} processes, rank 0 of ${self.worldSize}: start all with the same number`
          : before || hello.rank === 0 || hello.rank >= self.worldSize
            ? `${nameOf(hello)} has the rank of ${before ? nameOf(before.hello) : hello.rank === 0 ? nameOf(self) : "nobody"}: give every process a rank of its own, from 0 to ${self.worldSize - 1}`
            : undefined;
    if (problem) {
      this.#turnAway(connection, problem);
      this.#refuse(`${problem}.`);
      return undefined;
    }
    const member: Member = { hello, connection, left: false };
    this.#members.set(hello.rank, member);
    const proof = proofOf(token, hello.challenge, inWordsOf(self));
    connection.send(frameKinds.welcome, encoded({ ...self, proof }));
    return member;
  }

  #turnAway(connection: FrameSocket, reason: string): void {
    connection.send(frameKinds.refusal, encoded(reason));
    connection.endSoon();
  }

  #celebrate(): void {
    if (this.#isComplete || this.#members.size < this.#membership.self.worldSize - 1) return;
    this.#isComplete = true;
    clearTimeout(this.#patience);
    clearTimeout(this.#news);
    this.#server.close(); // Nobody else is expected.
    this.#toAll(frameKinds.complete);
    this.#tell({ type: "complete" });
  }

  /** "only ranks 0, 2 of 4 came" */
  #whoCame(): string {
    const { self, patience, address } = this.#membership;
    const ranks = [0, ...this.#members.keys()].sort((a, b) => a - b).join(", ");
    const which = this.#members.size === 0 ? `rank ${ranks}` : `ranks ${ranks}`;
    return `only ${which} of ${self.worldSize} came within ${patience} seconds: the others were not started, or cannot reach ${address.host} on port ${address.port}.`;
  }

  #tellNews(): void {
    const { self, patience, address } = this.#membership;
    const missing = Array.from({ length: self.worldSize }, (_, rank) => rank).filter(
      (rank) => rank !== self.rank && !this.#members.has(rank),
    );
    const which = `${missing.length === 1 ? "rank" : "ranks"} ${briefly(missing)}`;
    this.#tell({
      type: "waiting",
      news: `rank 0 waits for ${which} of ${self.worldSize} on port ${address.port}, for at most ${patience} seconds.`,
    });
  }

  #refuse(reason: string): void {
    if (this.#isComplete || this.#isOver) return;
    this.#isOver = true;
    this.#toAll(frameKinds.refusal, encoded(reason.replace(/\.$/, "")));
    this.#tell({ type: "refused", reason });
    void this.close();
  }

  // ---- working together -------------------------------------------------------------------------------------------

  #hear(member: Member, { kind, bytes }: Frame): void {
    const { rank } = member.hello;
    if (kind === frameKinds.part) this.#tell({ type: "part", rank, bytes });
    else if (kind === frameKinds.failure) {
      const { message, stopped } = decoded(bytes) as { message: unknown; stopped: unknown };
      const failure = { rank, message: String(message), stopped: stopped === true };
      this.#toAll(frameKinds.failure, encoded(failure), rank);
      this.#tell({ type: "failure", ...failure });
    } else if (kind === frameKinds.bye) {
      member.left = true;
      this.#tell({ type: "left", rank });
    }
  }

  #lose(member: Member): void {
    if (member.left || this.#isOver) return;
    if (this.#isComplete) this.#end(goneWords(nameOf(member.hello)));
    else this.#members.delete(member.hello.rank); // It may come again.
  }

  #watch(now: number, wasAwake: boolean): void {
    this.#toAll(frameKinds.pulse);
    for (const { hello, connection, left } of this.#members.values()) {
      if (!wasAwake) connection.heard = now;
      const silent = left ? 0 : now - connection.heard;
      if (this.#isComplete && silent > 1000 * silenceSeconds) this.#end(frozenWords(nameOf(hello)));
      else if (!this.#isComplete && silent > longestPause(this.#membership)) connection.destroy(); // It may come again.
    }
  }

  #end(reason: string): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#toAll(frameKinds.end, encoded(reason));
    this.#tell({ type: "end", reason });
  }

  #toAll(kind: FrameKind, bytes?: Uint8Array, except?: number): void {
    for (const { connection, hello } of this.#members.values())
      if (hello.rank !== except) connection.send(kind, bytes);
  }
}

/** "1, 3, 4, 5 and 8 more" */
function briefly(ranks: readonly number[]): string {
  const shown = ranks.slice(0, 8);
  const more = ranks.length - shown.length;
  return `${shown.join(", ")}${more > 0 ? ` and ${more} more` : ""}`;
}
