/** What every runtime is given to do, to compare what comes of it. */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { program, repository } from "../support/repository.js";
import { root } from "../support/temporary-folder.js";

/** Runs a script with its arguments, which has to succeed, and gives its output. */
export type Run = (args: readonly string[]) => string;

/** Scores of outliers are made of logarithms, whose last digits are each engine's own; Windows writes paths in its own way. */
const comparable = (value: unknown): unknown =>
  JSON.parse(JSON.stringify(value), (key, one: unknown) => {
    if (typeof one === "number") return Number(one.toPrecision(9));
    return key === "file" ? String(one).replaceAll("\\", "/") : one;
  });

/**
 * A demonstration with a training of two epochs, predictions of images that one of "Node" has drawn before, and a worker.
 *
 * @param name  of the runtime: of its folder
 */
export function workOf(run: Run, name: string) {
  const folder = join(root, name);
  const checkpoint = join(folder, "run/best.safetensors");
  run([program, "demo", "--epochs", "2", "--out", folder, "--json"]);
  const images = ["cyst", "mass"].map((label) => join(root, "Node/data/test", label));
  return {
    checkpoint: createHash("md5").update(readFileSync(checkpoint)).digest("hex"),
    predictions: comparable(
      JSON.parse(run([program, "predict", "--checkpoint", checkpoint, "--json", ...images])),
    ),
    worker: run([join(repository, "test/runtimes/worker.mjs")]),
  };
}
