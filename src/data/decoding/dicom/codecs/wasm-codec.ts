/**
 * The codecs in WebAssembly, which all have one interface. Their memory never shrinks and an error may leave it in any
 * state, so an instance is given up after an error and when it has grown large, and the next frame gets a new one.
 */
import { MedMambaError } from "../../../../errors.js";
import { frameDamaged } from "./codec.js";

/** A picture as a codec found it. */
export interface FrameInfo {
  readonly width: number;
  readonly height: number;
  readonly bitsPerSample: number;
  readonly componentCount: number;
  readonly isSigned: boolean;
}

export interface WasmDecoder {
  /** Room for so many bytes of the compressed picture. */
  getEncodedBuffer(length: number): Uint8Array;
  getDecodedBuffer(): Uint8Array;
  decode(): unknown;
  getFrameInfo(): FrameInfo;
  getInterleaveMode?(): number;
  delete(): void;
}

/** An instance of a codec, with the class of its decoders. */
export type WasmModule = Readonly<Record<string, new () => WasmDecoder>> & { readonly HEAPU8: Uint8Array };

/** What was decoded, in memory of its own. */
export interface Decoded extends FrameInfo {
  readonly bytes: Uint8Array;
  /** Of JPEG-LS: 0 if components lie behind each other. */
  readonly interleaveMode: number | undefined;
}

const largestKept = 2 ** 28; // bytes
const silent = { print: () => {}, printErr: () => {} };

/** A codec by its module, which is imported when the first frame comes, and the name of its class. */
export class WasmCodec {
  #instance: Promise<WasmModule> | undefined;

  constructor(
    private readonly load: () => Promise<{ default: (options?: object) => Promise<WasmModule> }>,
    private readonly decoder: string,
  ) {}

  /**
   * @throws DataError if the picture is damaged
   * @throws MedMambaError if the codec cannot be loaded, which is no fault of the picture
   */
  async decode(encoded: Uint8Array): Promise<Decoded> {
    this.#instance ??= this.#start();
    const instance = await this.#instance;
    try {
      const Class = instance[this.decoder] as new () => WasmDecoder;
      const decoder = new Class();
      decoder.getEncodedBuffer(encoded.length).set(encoded);
      decoder.decode();
      const { width, height, bitsPerSample, componentCount, isSigned } = decoder.getFrameInfo();
      const bytes = new Uint8Array(decoder.getDecodedBuffer()); // a copy; some give a Uint8ClampedArray
      const interleaveMode = decoder.getInterleaveMode?.();
      decoder.delete();
      if (instance.HEAPU8.length > largestKept) this.#instance = undefined;
      return { width, height, bitsPerSample, componentCount, isSigned, bytes, interleaveMode };
    } catch (cause) {
      this.#instance = undefined;
      // C++ exceptions are numbers here: where they lie in a memory that is given up.
      throw frameDamaged(cause instanceof Error ? cause : undefined);
    }
  }

  async #start(): Promise<WasmModule> {
    try {
      return await (await this.load()).default({ ...silent });
    } catch (cause) {
      this.#instance = undefined;
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new MedMambaError(
        "MEDMAMBA_NO_DECODER",
        `${this.decoder}, which decodes compressed DICOM pictures, cannot be loaded: ${reason}`,
        { cause },
      );
    }
  }
}

/** 16-bit values of bytes whose beginning may be odd. */
export function words(bytes: Uint8Array): Uint16Array {
  const own = bytes.byteOffset % 2 === 0 ? bytes : bytes.slice();
  return new Uint16Array(own.buffer, own.byteOffset, own.length >>> 1);
}
