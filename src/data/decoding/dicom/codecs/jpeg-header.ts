/** What a JPEG or JPEG-LS picture says of itself, before anything is decoded (ITU-T T.81, annex B; T.87, annex C). */
import { type CompressedHeader, frameDamaged } from "./codec.js";

export interface JpegHeader extends CompressedHeader {
  /** The last byte of the marker that begins the frame: 0xC0 baseline, 0xC1 extended, 0xC3 lossless, 0xF7 JPEG-LS. */
  readonly frameType: number;
  /** What Adobe's marker says of the colours: 0 RGB, 1 YCbCr; undefined without the marker. */
  readonly adobeTransform: number | undefined;
  /** A JFIF header, whose colours are YCbCr. */
  readonly isJfif: boolean;
}

const standalone = (marker: number): boolean => marker === 0x01 || (marker >= 0xd0 && marker <= 0xd8);
const beginsFrame = (marker: number): boolean =>
  marker === 0xf7 || (marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker));

/** @throws DataError if there is no frame in it */
export function jpegHeader(bytes: Uint8Array): JpegHeader {
  if (bytes[0] !== 0xff || bytes[1] !== 0xd8) throw frameDamaged();
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let adobeTransform: number | undefined;
  let isJfif = false;
  for (let at = 2; at + 4 <= bytes.length; ) {
    if (bytes[at] !== 0xff) throw frameDamaged();
    const marker = bytes[at + 1] as number;
    if (marker === 0xff || standalone(marker)) {
      at += marker === 0xff ? 1 : 2;
      continue;
    }
    const length = view.getUint16(at + 2);
    if (beginsFrame(marker)) {
      if (at + 10 > bytes.length) break;
      return {
        frameType: marker,
        precision: bytes[at + 4] as number,
        height: view.getUint16(at + 5),
        width: view.getUint16(at + 7),
        components: bytes[at + 9] as number,
        adobeTransform,
        isJfif,
      };
    }
    const name = String.fromCharCode(...bytes.subarray(at + 4, at + 9));
    if (marker === 0xe0 && name.startsWith("JFIF")) isJfif = true;
    if (marker === 0xee && name === "Adobe" && length >= 14) adobeTransform = bytes[at + 15];
    if (marker === 0xda || length < 2) break;
    at += 2 + length;
  }
  throw frameDamaged();
}
