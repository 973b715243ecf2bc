/**
 * Threads that decode frames: one frame at a time each, and no more of them than there are processors.
 *
 * A thread is started when a frame comes and all that there are have one, and stays. It keeps the process alive only while
 * it decodes. One that dies, or does not come to an end with a frame, costs that frame and is replaced when the next one needs
 * it. (piscina brings native code; with tinypool 2.2, tasks in line behind one that ends its thread are never answered.)
 */
import { existsSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import { DataError, MedMambaError } from "../../../../errors.js";
import { packageRoot } from "../../../../native/package-root.js";
import { longestDecode } from "../../limits.js";
import type { StoredPixels } from "./codec.js";
import { codecs } from "./codecs.js";
import { type FrameReply, type FrameTask, ready, valueKinds } from "./thread-messages.js";

/** One file serves the modules of dist, its CommonJS bundle, and src under a test runner. */
const program = join(packageRoot, "dist/data/decoding/dicom/codecs/thread.js");

/** A frame on its way. */
interface Job {
  readonly task: FrameTask;
  readonly resolve: (pixels: StoredPixels | Promise<StoredPixels>) => void;
  readonly reject: (error: Error) => void;
}

export interface ThreadOptions {
  /** Threads at most; one a processor unless told. */
  readonly most?: number;
  /** Seconds that a frame may take; 60 unless told. */
  readonly patience?: number;
  /** The file that a thread runs. */
  readonly program?: string;
  /** Megabytes of a thread's JavaScript; what Node gives it unless told. Codecs in WebAssembly have their memory beside. */
  readonly megabytes?: number;
}

export class DecodingThreads {
  readonly #waiting: Job[] = [];
  readonly #idle: DecodingThread[] = [];
  readonly #options: Required<Omit<ThreadOptions, "megabytes">> & ThreadOptions;
  #count = 0;
  /** Where no thread can be started, as in a bundle or without permission, frames are decoded here. */
  #usable: boolean;

  constructor(options: ThreadOptions = {}) {
    this.#options = { most: availableParallelism(), patience: longestDecode, program, ...options };
    this.#usable = existsSync(this.#options.program);
  }

  /** Threads that there are. */
  get count(): number {
    return this.#count;
  }

  /**
   * @throws DataError if the picture is damaged, takes longer than a minute, or ends the thread
   * @throws MedMambaError if the codec cannot be loaded
   */
  decode(task: FrameTask): Promise<StoredPixels> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ task, resolve, reject });
      this.#next();
    });
  }

  #next(): void {
    while (this.#waiting.length > 0) {
      const thread = this.#usable ? (this.#idle.pop() ?? this.#start()) : undefined;
      if (!thread && this.#usable) return; // all have a frame
      const job = this.#waiting.shift() as Job;
      if (thread) thread.run(job);
      else job.resolve(decodeHere(job.task));
    }
  }

  /** Another thread, if there may be one and it can be had. */
  #start(): DecodingThread | undefined {
    if (this.#count >= this.#options.most) return undefined;
    try {
      const thread = new DecodingThread(this.#options, {
        idle: () => {
          this.#idle.push(thread);
          this.#next();
        },
        gone: (unserved) => {
          this.#count -= 1;
          const at = this.#idle.indexOf(thread);
          if (at >= 0) this.#idle.splice(at, 1);
          if (unserved) {
            this.#usable = false;
            this.#waiting.unshift(unserved);
          }
          this.#next();
        },
      });
      this.#count += 1;
      return thread;
    } catch {
      this.#usable = false; // the system, or Node's permissions, refuse one
      return undefined;
    }
  }
}

/** Those of this process. */
export const decodingThreads = new DecodingThreads();

/** What a thread tells those who have it. */
interface Listener {
  idle(): void;
  /** @param unserved  the frame it was given, if it died before it was there */
  gone(unserved: Job | undefined): void;
}

class DecodingThread {
  readonly #worker: Worker;
  #job: Job | undefined;
  #timer: NodeJS.Timeout | undefined;
  #isReady = false;
  #death = "it ended by itself";

  constructor(
    private readonly options: {
      readonly program: string;
      readonly patience: number;
      readonly megabytes?: number;
    },
    private readonly listener: Listener,
  ) {
    const { program, megabytes } = options;
    this.#worker = new Worker(program, {
      execArgv: [], // those of the process may ask for what a thread has not, as --input-type does
      ...(megabytes && { resourceLimits: { maxOldGenerationSizeMb: megabytes } }),
    });
    this.#worker.on("message", (message: FrameReply | typeof ready) => {
      if (message === ready) this.#isReady = true;
      else this.#finish(message);
    });
    this.#worker.on("error", (error: NodeJS.ErrnoException) => {
      this.#death = error.code === "ERR_WORKER_OUT_OF_MEMORY" ? "there was not enough memory" : error.message;
    });
    this.#worker.on("exit", () => this.#end());
    this.#worker.unref();
  }

  run(job: Job): void {
    this.#job = job;
    this.#worker.ref();
    this.#timer = setTimeout(() => {
      this.#death = `it took more than ${this.options.patience} seconds`;
      void this.#worker.terminate();
    }, 1000 * this.options.patience);
    // A copy, to be given away; the slice() of a Buffer would be none, and take the file's other frames along.
    const bytes = new Uint8Array(job.task.bytes);
    this.#worker.postMessage({ ...job.task, bytes }, [bytes.buffer]);
  }

  #finish(reply: FrameReply): void {
    const job = this.#release();
    this.#worker.unref();
    if ("buffer" in reply) {
      const values = new valueKinds[reply.kind](reply.buffer);
      job?.resolve({ values, isRgb: reply.isRgb });
    } else job?.reject(errorOf(reply));
    this.listener.idle();
  }

  #end(): void {
    const job = this.#release();
    if (this.#isReady) job?.reject(new DataError(`its compressed picture cannot be decoded: ${this.#death}`));
    this.listener.gone(this.#isReady ? undefined : job);
  }

  #release(): Job | undefined {
    clearTimeout(this.#timer);
    const job = this.#job;
    this.#job = undefined;
    return job;
  }
}

async function decodeHere({ codec, bytes, image }: FrameTask): Promise<StoredPixels> {
  return (await codecs[codec]())(bytes, image);
}

function errorOf({ fault, message, code, detail }: Exclude<FrameReply, { buffer: ArrayBuffer }>): Error {
  const cause = detail === undefined ? undefined : new Error(detail);
  if (fault === "picture") return new DataError(message, { cause });
  if (fault === "installation") return new MedMambaError(code, message, { cause });
  return new Error(message, { cause });
}
