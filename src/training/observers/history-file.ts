/** `metrics.jsonl`: the history, a line an epoch, written anew after each. */
import { replaceText } from "../../weights/atomic-file.js";
import type { Observer } from "./observer.js";

/** @throws WeightsError naming the file, if it cannot be written; an older one is left as it was */
export function historyFile(path: string): Observer {
  return {
    async epoch(_, history) {
      await replaceText(path, history.map((record) => `${JSON.stringify(record)}\n`).join(""));
    },
  };
}
