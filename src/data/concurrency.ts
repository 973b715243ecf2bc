/**
 * Work on one event loop beside other work: not too much at once, not too long at a stretch, and some of it ahead of
 * whoever waits for it.
 */

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

/**
 * What `start` promises, call after call and in that order, until it promises undefined: `depth` calls are under way
 * while whoever takes the results is busy with one, so never are there more than `depth` + 1 results.
 */
export async function* readAhead<T>(
  start: () => Promise<T | undefined>,
  depth: number,
): AsyncGenerator<T, void, undefined> {
  const ready: Promise<T | undefined>[] = [];
  for (;;) {
    while (ready.length <= depth) {
      const started = start();
      started.catch(() => {}); // Whoever awaits it below gets the error; if nobody does, nobody wants it.
      ready.push(started);
    }
    const result = await ready.shift();
    if (result === undefined) return;
    yield result;
  }
}
