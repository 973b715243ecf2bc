/** Whether the event loop turns while something goes on: in turns, not in time, which other load on the machine decides. */

/** Counts turns of the event loop from here on. Where something holds the loop up, none come. */
export class Turns {
  count = 0;
  #stopped = false;

  /** @param milliseconds  least distance of turns that are counted: an idle loop turns a thousand times in one */
  constructor(readonly milliseconds = 0) {
    this.#next();
  }

  #next(): void {
    const turned = () => {
      if (this.#stopped) return;
      this.count += 1;
      this.#next();
    };
    if (this.milliseconds > 0) setTimeout(turned, this.milliseconds);
    else setImmediate(turned);
  }

  stop(): void {
    this.#stopped = true;
  }
}
