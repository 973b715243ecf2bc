/** Observers whose methods are misspelt would be silent: they are refused before anything is done. */
import { expect, it } from "vitest";
import { ArgumentError, type Observer } from "../../../src/index.js";
import { expectObserver } from "../../../src/training/observers/observer.js";

const refused = (observer: unknown, at = 0) => {
  try {
    expectObserver(observer as Observer, at);
  } catch (error) {
    expect(error).toBeInstanceOf(ArgumentError);
    return (error as Error).message;
  }
  return undefined;
};

it.each([
  [{ onEpoch() {} }, "fit: observers[0] has a method onEpoch, which observers have not; did you mean epoch?"],
  [
    { epoch() {}, steps() {} },
    "fit: observers[0] has a method steps, which observers have not; did you mean step?",
  ],
  [
    { epoch() {}, report() {} },
    "fit: observers[0] has a method report, which observers have not; they are begin, step, validation, epoch, close.",
  ],
  [{ epoch: "log" }, 'fit: observers[0].epoch has to be a function, but is "log".'],
  [
    new (class {
      onEpochEnd() {}
    })(),
    "fit: observers[0] has none of the methods of an observer: begin, step, validation, epoch, close.",
  ],
  [null, "fit: observers[0] has to be an object of named values, but is null."],
])("%o is refused", (observer, message) => {
  expect(refused(observer)).toBe(message);
});

it("has values of its own beside its methods, and a class what it wants", () => {
  expect(refused({ lines: [], epoch() {} })).toBeUndefined();
  const observer = new (class {
    step() {
      this.draw();
    }
    draw() {}
  })();
  expect(refused(observer)).toBeUndefined();
});
