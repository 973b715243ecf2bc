/** What a checkpoint says, for processes that do not see the folder that it is in. */
import { readAssurance, storedAssurance } from "../checkpoints/assurance.js";
import { type CheckpointDescription, readCheckpoint } from "../checkpoints/checkpoint.js";
import type { Group } from "../distributed/group.js";
import { taskOf } from "../tasks/index.js";

/**
 * What a file on rank 0 says, on all ranks to the bit.
 *
 * @throws WeightsError on rank 0 if it cannot be read, which the others hear of
 */
export async function describedToAll(group: Group | undefined, path: string): Promise<CheckpointDescription> {
  const own = (group?.rank ?? 0) === 0 ? await readCheckpoint(path) : undefined;
  if (!group || group.isAlone) return own as CheckpointDescription;
  const [told] = await group.gatherAt("checkpoint", own ? withTextOf(own) : null);
  if (own) return own;
  const { assurance, ...description } = told as ReturnType<typeof withTextOf>;
  const found =
    assurance === undefined
      ? undefined
      : readAssurance(path, assurance, description.classes.length, isOfSeveralLabels(description));
  return { ...description, assurance: found };
}

/** As JSON can say it: numbers of an assurance as they stand in a file. */
function withTextOf(description: CheckpointDescription) {
  const { assurance, classes } = description;
  const text = assurance && storedAssurance(assurance, classes.length, isOfSeveralLabels(description));
  return { ...description, assurance: text };
}

const isOfSeveralLabels = (told: Pick<CheckpointDescription, "task" | "classes">): boolean =>
  taskOf(told).name === "multi-label";
