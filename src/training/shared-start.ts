/** Ranks that train together start alike: with what rank 0 has, of itself or from a file that the others need not see. */
import type { Group } from "../distributed/group.js";
import { bytesOf, floatsOf } from "../distributed/relay.js";
import type { Progress, RunParts } from "./resumption.js";
import { setStatistics } from "./running-statistics.js";

/**
 * Gives every rank the weights, the optimiser's state, the averages and the position of rank 0.
 *
 * @param statistics  on rank 0: running statistics of each rank, where a run goes on with as many as before
 */
export async function shareStart(
  group: Group,
  { model, optimizer, average, plateau, progress }: RunParts,
  statistics: readonly Float32Array[] | undefined,
): Promise<void> {
  const state = group.rank === 0 ? { progress, plateau: plateau?.state } : null;
  const [first] = await group.gatherAt("start", state);
  if (!first) return;
  const { settings, data } = progress;
  Object.assign(progress, first.progress as Progress, { settings, data });
  if (first.plateau) plateau?.loadState(first.plateau);
  optimizer.stepCount = progress.step;
  const tensors = [model.stateDict(), optimizer.stateDict().tensors, average?.stateDict() ?? {}];
  for (const tensor of tensors.flatMap((named) => Object.values(named))) await group.broadcast(tensor);
  const kept = await group.gatherBytes("statistics at the start", packed(statistics));
  const all = floatsOf(kept[0] as Uint8Array);
  const length = all.length / group.worldSize;
  if (length > 0) setStatistics(model, all.slice(group.rank * length, (group.rank + 1) * length));
}

function packed(statistics: readonly Float32Array[] = []): Uint8Array {
  const whole = new Float32Array(statistics.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const own of statistics) {
    whole.set(own, at);
    at += own.length;
  }
  return bytesOf(whole);
}
