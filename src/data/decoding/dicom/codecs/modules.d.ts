/** What is used of the codecs, which come without types. */
declare module "@cornerstonejs/codec-charls/decodewasmjs" {
  const load: () => Promise<import("./wasm-codec.js").WasmModule>;
  export default load;
}
declare module "@cornerstonejs/codec-libjpeg-turbo-8bit/decodewasmjs" {
  const load: () => Promise<import("./wasm-codec.js").WasmModule>;
  export default load;
}
declare module "@cornerstonejs/codec-openjpeg/decodewasmjs" {
  const load: () => Promise<import("./wasm-codec.js").WasmModule>;
  export default load;
}
declare module "@cornerstonejs/codec-openjph/wasmjs" {
  const load: () => Promise<import("./wasm-codec.js").WasmModule>;
  export default load;
}
declare module "jpeg-lossless-decoder-js" {
  export class Decoder {
    decode(buffer: ArrayBufferLike, offset: number, length: number, bytesOfValue: number): unknown;
  }
}
