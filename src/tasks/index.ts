/**
 * The namespace `tasks`: what classification can be, each as one object.
 *
 * @module
 */
import { ArgumentError } from "../errors.js";
import { expectNamed, expectTexts, inWords } from "../settings/given.js";
import { binary } from "./binary.js";
import { multiClass } from "./multi-class.js";
import { multiLabel } from "./multi-label.js";
import { ordinal } from "./ordinal.js";
import type { Task, TaskName } from "./task.js";

export type { OrdinalMetrics } from "./ordinal.js";
export type { DeviceLossOptions, LossOptions, Task, TaskName, TaskScores, Truth } from "./task.js";
export { binary, multiClass, multiLabel, ordinal };

const byName: Readonly<Record<TaskName, Task>> = {
  "multi-class": multiClass,
  binary,
  "multi-label": multiLabel,
  ordinal,
};

/** All that there are. */
export const taskNames = Object.keys(byName) as TaskName[];

/**
 * The task of a data set or a checkpoint: the one that it names, else the one that its number of classes means.
 *
 * @throws ArgumentError if the name is none
 */
export function taskOf(about: { task?: TaskName | undefined; classes: readonly string[] }): Task {
  const { task, classes } = expectNamed("taskOf", "a data set or checkpoint", about);
  expectTexts("taskOf", "classes", classes);
  const byClasses = classes.length === 2 ? "binary" : "multi-class";
  const name = task === undefined ? byClasses : task;
  if (typeof name !== "string" || !Object.hasOwn(byName, name)) {
    throw new ArgumentError(
      `there is no task ${inWords(name)}: choose from ${Object.keys(byName).join(", ")}.`,
    );
  }
  return byName[name];
}
