/** Files that PyTorch 2.13 wrote (test/fixtures/pth/make_pth.py): every type and layout, byte by byte, and what is refused. */
import { readFileSync } from "node:fs";
import { zipSync } from "fflate";
import { describe, expect, it } from "vitest";
import { WeightsError } from "../../../src/errors.js";
import { readPth } from "../../../src/weights/pth/read.js";
import { failure } from "../../support/failure.js";
import { fixture } from "../../support/repository.js";
import { write } from "../../support/temporary-folder.js";
import { program, type Records, recordsOf, torchZip, unicode } from "../../support/torch-zip.js";

const file = (name: string): string => fixture(`pth/${name}.pth`);
const expected = JSON.parse(readFileSync(fixture("pth/expected.json"), "utf8")) as {
  tensors: Record<string, { dtype: string; shape: number[]; data: string }>;
};
const refusal = async (name: string, key?: string) =>
  (await failure(WeightsError, readPth(file(name), { key }))).replace(/^.*\/(?=[^/]+\.pth:)/, "");

const hex = (data: Uint8Array): string => Buffer.from(data).toString("hex");

describe("a file of torch.save", () => {
  it("gives every tensor's type, shape and bytes", async () => {
    const { tensors, path, alternatives } = await readPth(file("tensors"));
    expect([...tensors.keys()]).toEqual(Object.keys(expected.tensors));
    const read = [...tensors].map(([name, { dtype, shape, data }]) => [
      name,
      { dtype, shape, data: hex(data) },
    ]);
    expect(Object.fromEntries(read)).toEqual(expected.tensors);
    expect({ path, alternatives }).toEqual({ path: [], alternatives: [] });
  });

  it("of a machine with the other byte order gives the same", async () => {
    const records = recordsOf(readFileSync(file("tensors")));
    const swapped: Records = { ...records, byteorder: Buffer.from("big") };
    // The storages of the file have elements of one size each, in the order of the tensors but for shared ones.
    const widths = [8, 4, 2, 2, 1, 2, 4, 8, 1, 2, 1, 4, 1, 4, 4, 4, 2, 4, 4];
    for (const [i, width] of widths.entries()) {
      const bytes = Buffer.from(records[`data/${i}`] as Uint8Array);
      swapped[`data/${i}`] =
        width === 8 ? bytes.swap64() : width === 4 ? bytes.swap32() : width === 2 ? bytes.swap16() : bytes;
    }
    const { tensors } = await readPth(await write("big.pth", torchZip(swapped)));
    for (const name of ["float64", "float32", "int16", "int64", "complex64", "steps", "permuted"])
      expect(hex(tensors.get(name)?.data ?? new Uint8Array()), name).toBe(expected.tensors[name]?.data);
  });

  it.each([
    ["plain", undefined, [], "patch_embed.proj.weight"],
    ["training", undefined, ["model"], "patch_embed.proj.weight"],
    ["parallel", undefined, ["state_dict"], "module.patch_embed.proj.weight"],
    ["averaged", undefined, ["ema", "module"], "_orig_mod.patch_embed.proj.weight"],
    ["averaged", "ema", ["ema", "module"], "_orig_mod.patch_embed.proj.weight"],
  ])("%s.pth has its weights found (key %s)", async (name, key, path, first) => {
    const found = await readPth(file(name), { key });
    expect(found.path).toEqual(path);
    expect([...found.tensors.keys()]).toContain(first);
    expect(found.tensors.size).toBe(77);
  });

  it("of several weights gives the ones that were trained, or those that are asked for", async () => {
    const tensors = (value: number) =>
      program(
        "}",
        unicode("head.bias"),
        program("ctorch._utils\n_rebuild_tensor_v2\n((", unicode("storage"), "ctorch\nFloatStorage\n"),
        program(unicode(String(value)), unicode("cpu"), "K\x01tQK\x00K\x01\x85K\x01\x85\x89}tRs"),
      );
    const state = program(
      unicode("model_ema"),
      tensors(1),
      unicode("state_dict"),
      tensors(0),
      unicode("epoch"),
      "K\x07",
    );
    const path = await write(
      "both.pth",
      torchZip({
        "data.pkl": program("\x80\x02}(", state, unicode("mean"), tensors(0), "u."),
        "data/0": new Uint8Array(Float32Array.of(10).buffer),
        "data/1": new Uint8Array(Float32Array.of(11).buffer),
      }),
    );
    const weightsAt = async (key?: string) => {
      const { tensors, ...found } = await readPth(path, { key });
      return {
        ...found,
        value: new Float32Array(tensors.get("head.bias")?.data.buffer ?? new ArrayBuffer(0))[0],
      };
    };
    expect(await weightsAt()).toEqual({ path: ["state_dict"], alternatives: ["model_ema"], value: 10 });
    expect(await weightsAt("model_ema")).toEqual({ path: ["model_ema"], alternatives: [], value: 11 });
  });

  it("that holds something else is refused with what it holds, and what to do", async () => {
    expect(await refusal("legacy")).toMatch(
      /^legacy\.pth: not a file of weights that torch\.save wrote: it is in the form that PyTorch wrote before version 1\.6: save it anew in Python, with torch\.save\(torch\.load/,
    );
    expect(await refusal("pickled")).toMatch(/it is a Python pickle without the zip file.*torch\.save\.$/);
    expect(await refusal("module")).toBe(
      'module.pth: holds an object of the Python class "torch.nn.modules.container.Sequential", such as a whole model, which ' +
        "needs that class and could run any program: save the weights alone in Python, with " +
        'torch.save(model.state_dict(), "weights.pth").',
    );
    expect(await refusal("module-inside")).toMatch(
      /of the Python class "torch\.nn\.modules\.linear\.Linear"/,
    );
    expect(await refusal("quantised")).toBe(
      "quantised.pth: holds a quantised tensor: save what its dequantize() gives.",
    );
    expect(await refusal("sparse")).toMatch(/holds a sparse tensor: save what its to_dense\(\) gives/);
    expect(await refusal("scripted")).toMatch(
      /it is a program of TorchScript: load it in Python with torch\.jit\.load/,
    );
    expect(await refusal("tensor")).toMatch(/it holds one tensor and not the weights/);
    expect(await refusal("training", "optimizer")).toMatch(
      /there are no weights under "optimizer"; it holds "epoch", "model", "optimizer", "args", "best", "ema", "losses", "kept", \.\.\.$/,
    );
  });

  it("or none at all is called what it is", async () => {
    const of = async (name: string, bytes: Uint8Array | string) =>
      failure(WeightsError, readPth(await write(name, bytes)));
    expect(await of("empty.pth", "")).toBe("/empty.pth: the file is empty.");
    expect(await of("words.pth", "weights".repeat(99))).toMatch(/it does not begin like one/);
    expect(await of("keras.pth", zipSync({ "model.weights.h5": new Uint8Array(9) }, { level: 0 }))).toMatch(
      /it is a zip file, but none that torch\.save wrote/,
    );
    const tar = Buffer.alloc(1024);
    tar.write("sys_info");
    tar.write("ustar", 257);
    expect(await of("tar.pth", tar)).toMatch(
      /it is a tar file, as PyTorch wrote before version 0\.2: save it anew/,
    );
    expect(await failure(WeightsError, readPth(fixture("pth")))).toMatch(/is a directory, not a file/);
    expect(await failure(WeightsError, readPth("/nowhere.pth"))).toBe(
      "/nowhere.pth: no such file or directory.",
    );
  });
});
