/** Files that are named as weights and are something else are called what they are, with what to do. */
import { gzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { loadCheckpoint, safetensors, WeightsError } from "../../src/index.js";
import { failure } from "../support/failure.js";
import { write } from "../support/temporary-folder.js";

const padding = Buffer.alloc(200);
const startingWith = (...bytes: number[]) =>
  Buffer.concat([Buffer.from(bytes), Buffer.from("cmodule\nmodel\n"), padding]);

describe("a file that is no safetensors file", () => {
  it.each([
    [
      "model.pth",
      startingWith(0x50, 0x4b, 3, 4),
      /zip file, as PyTorch's torch.save writes.*`medmamba convert .*model\.pth weights\.safetensors`/,
    ],
    ["model.pt", startingWith(0x80, 2, 0x8a, 10), /Python pickle.*torch\.save.*`medmamba convert`/],
    ["model.pkl", startingWith(0x80, 4, 0x95, 3), /Python pickle/],
    [
      "lfs.safetensors",
      "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n",
      /git lfs pull/,
    ],
    ["page.safetensors", "\n<!DOCTYPE html><html><body>Please log in</body></html>", /web page.*download/],
    ["model.h5", startingWith(0x89, 0x48, 0x44, 0x46, 0x0d, 0x0a, 0x1a, 0x0a), /HDF5/],
    ["scan.png", startingWith(0x89, 0x50, 0x4e, 0x47), /an image: name the file of the weights/],
    ["scan.jpg", startingWith(0xff, 0xd8, 0xff, 0xe0), /an image: name/],
    ["packed.safetensors", gzipSync(padding), /gzip: unpack/],
    ["model.safetensors.index.json", '{ "weight_map": {"head.weight": "a"} }', /JSON, such as the index/],
  ])("%s is named", async (name, bytes, what) => {
    const path = await write(name, bytes);
    for (const read of [safetensors.readHeader, safetensors.load, loadCheckpoint])
      expect(await failure(WeightsError, read(path))).toMatch(
        new RegExp(`^/${name}: not a safetensors file: it is .*${what.source}`),
      );
  });

  it("is not taken for another because its header is 640 bytes long", async () => {
    const length = Buffer.from([0x80, 2, 0, 0, 0, 0, 0, 0]);
    const damaged = await write("damaged.safetensors", Buffer.concat([length, Buffer.alloc(640, "x")]));
    expect(await failure(WeightsError, safetensors.load(damaged))).toMatch(/the header is not valid JSON/);
    const sound = await write("sound.safetensors", Buffer.concat([length, Buffer.from("{}".padEnd(640))]));
    expect(Object.keys(await safetensors.load(sound))).toEqual([]);
  });
});
