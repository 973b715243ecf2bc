/**
 * What runs in a thread that decodes frames: a frame comes, its values or what is wrong with it go back.
 *
 * Nobody imports this file: threads.ts starts it.
 */
import { type MessagePort, parentPort } from "node:worker_threads";
import { DataError, MedMambaError } from "../../../../errors.js";
import { typedArrayKind } from "../../../../settings/realms.js";
import type { StoredPixels } from "./codec.js";
import { codecs } from "./codecs.js";
import { type FrameReply, type FrameTask, ready, valueKinds } from "./thread-messages.js";

if (parentPort) serve(parentPort);

function serve(port: MessagePort): void {
  port.on("message", async (task: FrameTask) => {
    let reply: FrameReply;
    try {
      const decode = await codecs[task.codec]();
      reply = pixelsReply(await decode(task.bytes, task.image));
    } catch (error) {
      reply = errorReply(error as Error);
    }
    port.postMessage(reply, "buffer" in reply ? [reply.buffer] : []);
  });
  port.postMessage(ready);
}

function pixelsReply({ values, isRgb }: StoredPixels): FrameReply {
  const kind = typedArrayKind(values) as keyof typeof valueKinds; // a Buffer is a Uint8Array
  const whole = values.byteLength === values.buffer.byteLength;
  const own = whole ? values : new valueKinds[kind](values);
  return { kind, buffer: own.buffer as ArrayBuffer, isRgb };
}

function errorReply(error: Error): FrameReply {
  const { message } = error;
  const detail = error.cause instanceof Error ? error.cause.message : undefined;
  if (error instanceof DataError)
    return { fault: "picture", message: error.reason, code: error.code, detail };
  if (error instanceof MedMambaError) return { fault: "installation", message, code: error.code, detail };
  return { fault: "unforeseen", message, code: "", detail };
}
