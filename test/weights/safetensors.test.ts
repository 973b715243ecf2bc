import { mkdtemp, open, readdir, readFile, rm, stat, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { WeightsError } from "../../src/errors.js";
import { readHeader, readTensors, type TensorToStore, writeTensors } from "../../src/weights/safetensors.js";

let folder: string;
let path: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "safetensors-"));
  path = join(folder, "weights.safetensors");
});
afterEach(async () => {
  vi.restoreAllMocks();
  await rm(folder, { recursive: true });
});

const weight: TensorToStore = {
  dtype: "float32",
  shape: [2, 3],
  data: Float32Array.of(0.5, -1, 2, 3e-8, -0, 1e30),
};
const steps: TensorToStore = { dtype: "int64", shape: [], data: BigInt64Array.of(2n ** 62n) };
const mask: TensorToStore = { dtype: "bool", shape: [3], data: Uint8Array.of(1, 0, 1) };
const nothing: TensorToStore = { dtype: "bfloat16", shape: [0, 4], data: new Uint16Array(0) };
const all: [string, TensorToStore][] = [
  ["mask", mask],
  ["größe", weight],
  ["empty", nothing],
  ["__proto__", weight],
  ["steps", steps],
];

/** A file with any header at all, and `dataBytes` zeros behind it. */
function fileOf(header: string | Uint8Array, dataBytes: number, claimedBytes?: number): Buffer {
  const bytes = Buffer.from(header as string);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(claimedBytes ?? bytes.byteLength));
  return Buffer.concat([length, bytes, Buffer.alloc(dataBytes)]);
}

describe("a written file", () => {
  it("reads back bit for bit, whatever the names", async () => {
    await writeTensors(path, all, { format: "pt", __proto__x: "safe", note: "zwölf\n" });
    const tensors = await readTensors(path);
    expect([...tensors.keys()]).toEqual(["steps", "__proto__", "größe", "empty", "mask"]);
    for (const [name, { dtype, shape, data }] of all) {
      const read = tensors.get(name);
      expect(read).toMatchObject({ dtype, shape });
      expect(Buffer.compare(Buffer.from(read!.data), Buffer.from(data.buffer))).toBe(0);
      expect(read!.data.byteOffset).toBe(0);
    }
    expect({ ...(await readHeader(path)).metadata }).toEqual({
      format: "pt",
      __proto__x: "safe",
      note: "zwölf\n",
    });
  });

  it("is the same whatever the order of the entries, and begins its data at a multiple of 8", async () => {
    await writeTensors(path, all, { b: "2", a: "1" });
    const first = await readFile(path);
    await writeTensors(path, all.toReversed(), { a: "1", b: "2" });
    expect(await readFile(path)).toEqual(first);
    expect(first.readBigUInt64LE() % 8n).toBe(0n);
  });

  it("equals what the Python package writes for the same tensors", async () => {
    // safetensors 0.8.0: save({"b": float32 [1, 2], "a": float32 [3], "n": int64 7}, metadata={"format": "pt"})
    const python =
      '{"__metadata__":{"format":"pt"},"n":{"dtype":"I64","shape":[],"data_offsets":[0,8]},' +
      '"a":{"dtype":"F32","shape":[1],"data_offsets":[8,12]},"b":{"dtype":"F32","shape":[2],"data_offsets":[12,20]}}';
    await writeTensors(
      path,
      [
        ["b", { dtype: "float32", shape: [2], data: Float32Array.of(1, 2) }],
        ["a", { dtype: "float32", shape: [1], data: Float32Array.of(3) }],
        ["n", { dtype: "int64", shape: [], data: BigInt64Array.of(7n) }],
      ],
      { format: "pt" },
    );
    const data = Buffer.from([7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x40, 0x40, 0, 0, 0x80, 0x3f, 0, 0, 0, 0x40]);
    const header = python.padEnd(Math.ceil(python.length / 8) * 8);
    expect(await readFile(path)).toEqual(Buffer.concat([fileOf(header, 0), data]));
  });

  it("holds only the viewed part of a larger buffer", async () => {
    const data = Float32Array.of(1, 2, 3, 4).subarray(1, 3);
    await writeTensors(path, [["x", { dtype: "float32", shape: [2], data }]]);
    const { data: bytes } = (await readTensors(path)).get("x")!;
    expect([...new Float32Array(bytes.buffer)]).toEqual([2, 3]);
  });

  it("may hold no tensor at all", async () => {
    await writeTensors(path, []);
    expect((await readTensors(path)).size).toBe(0);
  });

  it("keeps the key __proto__ of the metadata a plain key", async () => {
    const metadata = JSON.parse('{"__proto__": "polluted"}') as Record<string, string>;
    await writeTensors(path, [], metadata);
    const read = (await readHeader(path)).metadata;
    expect(Object.keys(read)).toEqual(["__proto__"]);
    expect(Object.getOwnPropertyDescriptor(read, "__proto__")?.value).toBe("polluted");
    expect(({} as Record<string, unknown>).polluted).toBeUndefined();
  });
});

describe("writing refuses", () => {
  it.each<[string, [string, TensorToStore][], RegExp]>([
    [
      "a name given twice",
      [
        ["x", mask],
        ["x", mask],
      ],
      /"x" is given twice/,
    ],
    ["the reserved name", [["__metadata__", mask]], /"__metadata__" is reserved/],
    [
      "data that does not fit",
      [["x", { ...mask, shape: [4] }]],
      /bool \(4\) and needs 4 bytes, but its data has 3/,
    ],
    ["a fractional shape", [["x", { ...mask, shape: [1.5, 2] }]], /shape \[1.5,2\]/],
    ["an unknown dtype", [["x", { ...mask, dtype: "float128" as never }]], /unknown dtype "float128"/],
  ])("%s", async (_what, entries, message) => {
    const failure = writeTensors(path, entries);
    await expect(failure).rejects.toThrow(WeightsError);
    await expect(failure).rejects.toThrow(message);
    expect(await readdir(folder)).toEqual([]);
  });

  it("metadata that is not text", async () => {
    await expect(writeTensors(path, [], { epoch: 3 as never })).rejects.toThrow(
      /metadata "epoch" is not a string/,
    );
  });

  it("a path that is a directory or a device", async () => {
    await expect(writeTensors(folder, [])).rejects.toThrow(`${folder}: is a directory, not a file.`);
    if (process.platform === "win32") return;
    await expect(writeTensors("/dev/null", [])).rejects.toThrow("exists and is not a regular file");
  });

  it("a folder that does not exist", async () => {
    await expect(writeTensors(join(folder, "none", "x"), [])).rejects.toThrow(/no such file or directory/);
  });
});

describe("a failed write", () => {
  const failOnce = async (method: "write" | "sync") => {
    const handle = await open(folder, "r");
    const shared = Object.getPrototypeOf(handle) as Record<typeof method, () => Promise<unknown>>;
    await handle.close();
    const full = Object.assign(new Error("ENOSPC: no space left on device, write"), { code: "ENOSPC" });
    return vi.spyOn(shared, method).mockRejectedValueOnce(full);
  };

  it.each(["write", "sync"] as const)(
    "leaves the old file and nothing else, when %s finds the disk full",
    async (method) => {
      await writeTensors(path, [["old", mask]]);
      const spy = await failOnce(method);
      const failure = writeTensors(path, all);
      await expect(failure).rejects.toThrow(`${path}: no space is left on the device.`);
      await expect(failure).rejects.toMatchObject({ code: "MEDMAMBA_WEIGHTS", cause: { code: "ENOSPC" } });
      expect(spy).toHaveBeenCalled();
      expect(await readdir(folder)).toEqual(["weights.safetensors"]);
      expect([...(await readTensors(path)).keys()]).toEqual(["old"]);
    },
  );

  it("goes on where the system accepts only a part of a write", async () => {
    const handle = await open(folder, "r");
    const shared = Object.getPrototypeOf(handle) as { write: (...args: unknown[]) => Promise<unknown> };
    await handle.close();
    const write = shared.write;
    vi.spyOn(shared, "write").mockImplementation(function (this: unknown, bytes, offset, length) {
      return write.call(this, bytes, offset, Math.min(length as number, 5));
    });
    await writeTensors(path, all);
    vi.restoreAllMocks();
    expect((await readTensors(path)).size).toBe(all.length);
  });
});

describe("the bound of a header", () => {
  const many = (count: number) =>
    fileOf(
      `{${Array.from({ length: count }, (_, i) => `"${i}":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}`).join(",")}}`,
      0,
    );
  afterEach(() => delete process.env.MEDMAMBA_MAX_HEADER_BYTES);

  it("is said in the message, and raised by the option or the variable that this names", async () => {
    await writeFile(path, many(100_001));
    await expect(readHeader(path)).rejects.toThrow(
      /more than 100000 names in one object: raise the option maxHeaderBytes or MEDMAMBA_MAX_HEADER_BYTES/,
    );
    expect((await readTensors(path, { maxHeaderBytes: 2e7 })).size).toBe(100_001);
    process.env.MEDMAMBA_MAX_HEADER_BYTES = "20000000";
    expect((await readHeader(path)).tensors.size).toBe(100_001);
    await expect(readHeader(path, { maxHeaderBytes: 1e6 })).rejects.toThrow(
      /its header would have \d+ bytes, and at most 1000000 are read: raise the option maxHeaderBytes/,
    );
    for (const value of ["many", "-1"]) {
      process.env.MEDMAMBA_MAX_HEADER_BYTES = value;
      await expect(readHeader(path)).rejects.toThrow(/^MEDMAMBA_MAX_HEADER_BYTES .* is not a whole number/);
    }
  });
});

describe("reading refuses", () => {
  const entry = (fields: object) =>
    JSON.stringify({ dtype: "U8", shape: [2], data_offsets: [0, 2], ...fields });
  const one = (fields: object, dataBytes = 2) => fileOf(`{"x":${entry(fields)}}`, dataBytes);
  const two = (a: number[], b: number[], dataBytes: number) =>
    fileOf(`{"a":${entry({ data_offsets: a })},"b":${entry({ data_offsets: b })}}`, dataBytes);

  it.each<[string, Buffer, RegExp]>([
    ["an empty file", Buffer.alloc(0), /the file is empty/],
    ["a file of a few bytes", Buffer.from("abc"), /it has only 3 bytes/],
    ["a header over 16 MB", fileOf("{}", 0, 16_000_001), /at most 16 MB/],
    [
      "more names than a network has",
      fileOf(`{${Array.from({ length: 200_000 }, (_, i) => `"${i}":0`).join(",")}}`, 0),
      /more than 100000 names/,
    ],
    ["the largest length there is", Buffer.alloc(16, 0xff), /at most 16 MB/],
    ["a header beyond the file", fileOf("{}", 0, 3), /truncated: the header should have 3 bytes, but only 2/],
    ["a header that is not JSON", fileOf("{x}", 0), /not valid JSON: a key was expected at character 1/],
    ["text after the header", fileOf("{}x", 0), /not valid JSON: unexpected "x" after the value/],
    ["a string without an end", fileOf('{"x', 0), /a string does not end/],
    ["a control character in a name", fileOf('{"\n":1}', 0), /a string is malformed/],
    ["bytes that are not UTF-8", fileOf(Buffer.from([0x7b, 0xff, 0x7d]), 0), /not valid JSON/],
    ["a byte order mark", fileOf("\ufeff{}", 0), /not valid JSON/],
    ["nesting without end", fileOf(`{"x":${"[".repeat(100_000)}`, 0), /more than 16 levels of nesting/],
    ["a header that is a list", fileOf("[]", 0), /not a JSON object/],
    ["a name that occurs twice", fileOf(`{"x":${entry({})},"x":${entry({})}}`, 2), /key "x" occurs twice/],
    ["a field that occurs twice", fileOf('{"x":{"dtype":"U8","dtype":"I8"}}', 2), /key "dtype" occurs twice/],
    ["metadata that is not a map", fileOf('{"__metadata__":[]}', 0), /__metadata__ is not a JSON object/],
    ["metadata that is not text", fileOf('{"__metadata__":{"a":1}}', 0), /"a", which is not a string/],
    ["a tensor that is a number", fileOf('{"x":1}', 0), /tensor "x" is not described/],
    ["a missing dtype", one({ dtype: undefined }), /tensor "x" has no "dtype"/],
    ["a missing shape", one({ shape: undefined }), /tensor "x" has no "shape"/],
    ["missing offsets", one({ data_offsets: undefined }), /tensor "x" has no "data_offsets"/],
    ["an unknown dtype", one({ dtype: "F7" }), /unknown dtype "F7"/],
    ["a dtype that is an inherited name", one({ dtype: "constructor" }), /unknown dtype "constructor"/],
    ["a negative shape", one({ shape: [-2] }), /shape \[-2\]/],
    ["a fractional shape", one({ shape: [0.5, 4] }), /shape \[0.5,4\]/],
    [
      "a shape that is too large to count",
      fileOf('{"x":{"dtype":"U8","shape":[9007199254740993],"data_offsets":[0,2]}}', 2),
      /not a list of sizes/,
    ],
    ["a shape whose product overflows", one({ shape: [2 ** 52, 2 ** 52] }), /its data_offsets span 2/],
    ["a shape that is a word", one({ shape: "2" }), /shape "2"/],
    ["three offsets", one({ data_offsets: [0, 1, 2] }), /not two positions/],
    ["negative offsets", one({ data_offsets: [-2, 0] }), /not two positions/],
    ["offsets in reverse", one({ data_offsets: [2, 0] }), /data_offsets span -2/],
    [
      "a span unlike the shape",
      one({ data_offsets: [0, 3] }, 3),
      /uint8 \(2\) and needs 2 bytes, but its data_offsets span 3/,
    ],
    ["truncated data", one({}, 1), /truncated: tensor "x" ends at byte 2 of the data, but only 1 bytes/],
    ["bytes behind the last tensor", one({}, 3), /1 bytes after the last tensor/],
    ["data without tensors", fileOf("{}", 4), /4 bytes after the last tensor/],
    ["overlapping tensors", two([0, 2], [1, 3], 3), /tensor "b" begins at byte 1 and overlaps/],
    ["tensors that share bytes", two([0, 2], [0, 2], 2), /overlaps/],
    ["a hole", two([3, 5], [0, 2], 5), /bytes 2 to 3 before tensor "a" belong to no tensor/],
  ])("%s", async (_what, bytes, message) => {
    await writeFile(path, bytes);
    for (const read of [readHeader, readTensors]) {
      const failure = read(path);
      await expect(failure).rejects.toThrow(WeightsError);
      await expect(failure).rejects.toThrow(message);
      await expect(failure).rejects.toThrow(`${path}: `);
    }
  });

  it("a missing file, a directory, a dangling link and a device", async () => {
    await expect(readHeader(path)).rejects.toThrow(`${path}: no such file or directory.`);
    await expect(readHeader(folder)).rejects.toThrow(`${folder}: is a directory, not a file.`);
    if (process.platform === "win32") return;
    await symlink(join(folder, "nowhere"), path);
    await expect(readTensors(path)).rejects.toThrow("no such file or directory");
    await expect(readTensors("/dev/zero")).rejects.toThrow("is not a regular file");
  });
});

it("a hostile tensor name cannot reach the prototype of objects", async () => {
  await writeFile(path, fileOf('{"__proto__":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}', 1));
  const { tensors } = await readHeader(path);
  expect([...tensors.keys()]).toEqual(["__proto__"]);
  expect(({} as Record<string, unknown>).dtype).toBeUndefined();
});

it("reading a header does not read the data", async () => {
  const bytes = 2 ** 33;
  const file = await open(path, "w");
  await file.write(
    fileOf(JSON.stringify({ x: { dtype: "F32", shape: [bytes / 4], data_offsets: [0, bytes] } }), 0),
  );
  await file.truncate((await file.stat()).size + bytes);
  await file.close();
  expect((await readHeader(path)).tensors.get("x")?.end).toBe(bytes);
  expect((await stat(path)).blocks * 512).toBeLessThan(bytes);
});
