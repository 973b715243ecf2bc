/** Two ways of being a good neighbour on one event loop: not too much at once, and not too long at a stretch. */

/** Lets at most `limit` tasks run at a time; the others wait in the order they came. */
export class Gate {
  readonly #waiting: (() => void)[] = [];
  #free: number;

  constructor(limit: number) {
    this.#free = limit;
  }

  async run<T>(task: () => Promise<T>): Promise<T> {
    if (this.#free > 0) this.#free -= 1;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    try {
      return await task();
    } finally {
      // The place passes straight to the next in line, so that nobody can slip in between.
      const next = this.#waiting.shift();
      if (next) next();
      else this.#free += 1;
    }
  }
}

const longestStretch = 5; // milliseconds
let stretchStart = performance.now();
let nextTurn: Promise<void> | undefined;

/**
 * Called between pieces of a long piece of work: lets timers and requests run whenever 5 ms have passed. All callers
 * share the 5 ms, so that several pieces of work at once hold up the event loop no longer than one.
 */
export async function breathe(): Promise<void> {
  while (performance.now() - stretchStart >= longestStretch) {
    nextTurn ??= new Promise((resolve) =>
      setImmediate(() => {
        stretchStart = performance.now();
        nextTurn = undefined;
        resolve();
      }),
    );
    await nextTurn;
  }
}
