/** What passes between a thread that decodes frames and those who want them. */
import type { ImageAttributes } from "../image-attributes.js";
import type { CodecName } from "./codecs.js";

/** A frame to decode. */
export interface FrameTask {
  readonly codec: CodecName;
  readonly bytes: Uint8Array;
  readonly image: ImageAttributes;
}

/** Kinds of the arrays of values; a class does not pass from one thread to another under all test runners. */
export const valueKinds = {
  Uint8Array,
  Int8Array,
  Uint16Array,
  Int16Array,
  Uint32Array,
  Int32Array,
  Float32Array,
  Float64Array,
};

/** What came of a frame; of an error its class is told, which would not pass either. */
export type FrameReply =
  | {
      readonly kind: keyof typeof valueKinds;
      readonly buffer: ArrayBuffer;
      readonly isRgb: boolean;
    }
  | {
      readonly fault: "picture" | "installation" | "unforeseen";
      readonly message: string;
      readonly code: string;
      /** What the codec said, for whoever looks into it. */
      readonly detail: string | undefined;
    };

/** The first message: the thread is there. */
export const ready = "ready";
