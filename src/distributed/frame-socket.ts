/** A connection between two ranks, as frames. */
import type { Socket } from "node:net";
import { type Frame, type FrameKind, FrameReader, frameHeader, frameLimit } from "./frames.js";

/** Sends frames, and takes what comes apart. What is no frame, or what `hear` cannot make sense of, ends the connection. */
export class FrameSocket {
  readonly #socket: Socket;
  readonly #reader = new FrameReader();
  /** When something came last, by `performance.now()`. */
  heard = performance.now();

  /**
   * @param hear   called with each frame
   * @param odd    called when the connection is ended for what came by it
   */
  constructor(socket: Socket, hear: (frame: Frame) => void, odd: () => void = () => {}) {
    this.#socket = socket;
    socket.on("data", (piece) => {
      this.heard = performance.now();
      try {
        for (const frame of this.#reader.take(piece)) {
          hear(frame);
          if (socket.destroyed || socket.writableEnded) return;
        }
      } catch {
        odd();
        socket.destroy();
      }
    });
  }

  /** From now on frames may be as large as those of ranks are. */
  trust(): void {
    this.#reader.limit = frameLimit;
  }

  /** Of a connection that has ended nothing is sent. */
  send(kind: FrameKind, bytes: Uint8Array = nothing): void {
    const socket = this.#socket;
    if (socket.destroyed || !socket.writable) return;
    socket.cork();
    socket.write(frameHeader(kind, bytes.length));
    socket.write(bytes);
    socket.uncork();
  }

  /** Resolves when what was sent is on its way, and nothing else will be. */
  end(): Promise<void> {
    return new Promise((resolve) => {
      if (this.#socket.destroyed) resolve();
      else this.#socket.end(resolve);
    });
  }

  /** Ends the connection when what was sent is on its way, whatever the other side does. */
  endSoon(): void {
    this.#socket.destroySoon();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  get isOver(): boolean {
    return this.#socket.destroyed;
  }
}

const nothing = new Uint8Array(0);
