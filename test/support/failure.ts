import { expect } from "vitest";
import type { MedMambaError } from "../../src/errors.js";
import { root } from "./temporary-folder.js";

/** The message of the error of that class that a promise must reject with, paths relative to the temporary folder. */
export async function failure(
  kind: abstract new (...parameters: never[]) => MedMambaError,
  promise: Promise<unknown>,
): Promise<string> {
  const error = await promise.then(
    () => new Error("nothing was thrown"),
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(kind);
  return (error as Error).message.replaceAll(root, "");
}
