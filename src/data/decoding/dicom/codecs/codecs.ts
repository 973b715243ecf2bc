/** The codecs by name, each imported when it is asked for. */
import type { PixelCodec } from "./codec.js";

export const codecs = {
  none: async () => (await import("./none.js")).none,
  deflatedFrame: async () => (await import("./none.js")).deflatedFrame,
  rle: async () => (await import("./rle.js")).rle,
  jpeg: async () => (await import("./jpeg.js")).jpeg,
  jpegLossless: async () => (await import("./jpeg-lossless.js")).jpegLossless,
  jpegLs: async () => (await import("./jpeg-ls.js")).jpegLs,
  jpeg2000: async () => (await import("./jpeg-2000.js")).jpeg2000,
  htj2k: async () => (await import("./jpeg-2000.js")).htj2k,
} satisfies Readonly<Record<string, () => Promise<PixelCodec>>>;

export type CodecName = keyof typeof codecs;

/** Those that only copy: sending a frame to another thread would take longer. */
const light: readonly CodecName[] = ["none", "deflatedFrame", "rle"];

/** Pixels from which a frame is decoded by another thread. Of 64 x 64, no more a second came from there. */
const leastPixels = 128 * 128;

/** How frames of a codec are decoded: small ones here, others by threads of their own, so that nothing waits for them. */
export async function decoderOf(name: CodecName): Promise<PixelCodec> {
  const here = await codecs[name]();
  if (light.includes(name)) return here;
  return async (bytes, image) => {
    if (image.rows * image.columns < leastPixels) return here(bytes, image);
    const { decodingThreads } = await import("./threads.js");
    return decodingThreads.decode({ codec: name, bytes, image });
  };
}
