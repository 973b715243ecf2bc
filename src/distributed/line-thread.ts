/**
 * What runs in the thread of a line.
 *
 * Nobody imports this file: open-line.ts starts it.
 */
import { type MessagePort, parentPort, workerData } from "node:worker_threads";
import { endProcess } from "./ending.js";
import type { LineEvent, Membership } from "./line.js";
import { lineOf, type ThreadEvent, type ThreadOrder } from "./open-line.js";

if (parentPort) serve(parentPort, workerData as Membership);

function serve(port: MessagePort, membership: Membership): void {
  const tell = (event: ThreadEvent) => port.postMessage(event);
  const line = lineOf(membership, (event: LineEvent) => {
    if (event.type === "end") endProcess(membership.self.rank, event.reason);
    else tell(event);
  });
  port.on("message", async (order: ThreadOrder) => {
    if (order.type !== "close") return line.order(order);
    await line.close();
    tell({ type: "closed" });
  });
}
