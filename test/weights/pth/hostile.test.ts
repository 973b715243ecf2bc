/** Files that mean harm: nothing of theirs is executed, and none costs more than a moment and a few megabytes. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { zipSync } from "fflate";
import { describe, expect, it } from "vitest";
import { WeightsError } from "../../../src/errors.js";
import { readPth } from "../../../src/weights/pth/read.js";
import { failure } from "../../support/failure.js";
import { fixture } from "../../support/repository.js";
import { root, write } from "../../support/temporary-folder.js";
import { integer, program, recordsOf, torchZip, unicode } from "../../support/torch-zip.js";

const whole = readFileSync(fixture("pth/plain.pth"));
const records = recordsOf(whole);

/** What is said of a file whose pickle is this, in a second and with little memory. */
async function of(...pieces: Parameters<typeof program>): Promise<string> {
  return said(torchZip({ ...records, "data.pkl": program("\x80\x02", ...pieces) }));
}

async function said(bytes: Uint8Array): Promise<string> {
  const [before, began] = [process.memoryUsage().rss, performance.now()];
  const message = await failure(WeightsError, readPth(await write("x.pth", bytes)));
  expect(performance.now() - began).toBeLessThan(10_000);
  expect(process.memoryUsage().rss - before).toBeLessThan(300e6);
  expect(message).toMatch(/^\/x\.pth: .*\.$/s);
  return message;
}

/** A float storage under the key "0" of so many elements. */
const storage = (elements: number, key = "0") =>
  program(
    "(",
    unicode("storage"),
    "ctorch\nFloatStorage\n",
    unicode(key),
    unicode("cpu"),
    integer(elements),
    "tQ",
  );
const tensorOf = (from: Uint8Array, ...[offset, shape, strides]: [number, number[], number[]]) =>
  program(
    "ctorch._utils\n_rebuild_tensor_v2\n(",
    from,
    integer(offset),
    program("(", ...shape.map(integer), "t"),
    program("(", ...strides.map(integer), "t"),
    "\x89}tR",
  );
const elements = (records["data/0"] as Uint8Array).length / 4;
const dictionary = (...tensors: Uint8Array[]) =>
  program("}(", ...tensors.flatMap((tensor, i) => [unicode(`t${i}`), tensor]), "u.");

describe("a pickle", () => {
  it("runs nothing of Python's, by whatever operation it asks", async () => {
    const path = join(root, "executed");
    const argument = unicode(`touch ${path}`);
    for (const [name, pieces] of Object.entries({
      "os.system": ["cos\nsystem\n", argument, "\x85R."],
      "posix.system": ["cposix\nsystem\n", argument, "\x85R."],
      "builtins.eval": ["cbuiltins\neval\n", unicode("1+1"), "\x85R."],
      "builtins.exec": ["\x8c\x08builtins\x8c\x04exec\x93", unicode("x"), "\x85R."],
      "builtins.getattr": ["}cbuiltins\ngetattr\n", argument, "\x85R."],
      "subprocess.Popen": ["}(", unicode("a"), "csubprocess\nPopen\n", argument, "\x85Ru."],
      "torch.load": ["ctorch\nload\n", argument, "\x85R."],
      "torch.hub.load": ["ctorch\nhub.load\n", argument, "\x85R."],
      "torch._utils._rebuild_tensor_v2.__globals__": ["ctorch._utils\n_rebuild_tensor_v2.__globals__\n."],
      "collections.OrderedDict.__init__": ["ccollections\nOrderedDict.__init__\n."],
      "torch.serialization.__proto__": ["ctorch.serialization\n__proto__\n."],
      "torch.constructor": ["ctorch\nconstructor\n."],
    })) {
      const message = await of(...(pieces as string[]));
      expect(message).toContain(`refers to "${name}" of Python, which could do anything`);
      expect(message).toContain("the file is refused");
    }
    expect(existsSync(path)).toBe(false);
    for (const [code, operation] of Object.entries({ "69": "ios\nsystem\n.", "6f": "(o.", "92": "(((\x92." }))
      expect(await of(operation)).toContain(
        `it has the operation 0x${code}, which torch.save does not write`,
      );
  });

  it("cannot call, build or fill what is none of the known", async () => {
    expect(await of("K\x01)R.")).toMatch(/calls what is no function/);
    expect(await of("}}R.")).toMatch(/calls what is no function/);
    expect(await of("ccollections\nOrderedDict\nK\x01R.")).toMatch(/with what are no arguments/);
    expect(await of("ccollections\nOrderedDict\n]\x85R.")).toMatch(/makes a dictionary in a way/);
    expect(await of("K\x01}b.")).toMatch(/sets attributes of what is no object/);
    expect(await of("]K\x01K\x02s.")).toMatch(/sets an item of what is no dictionary/);
    expect(await of("}K\x01a.")).toMatch(/appends to what is no list/);
    expect(await of("}(K\x01u.")).toMatch(/a key without a value/);
    expect(await of("K\x01K\x02\x93.")).toMatch(/whose name is no text/);
    expect(await of("ctorch._tensor\n_rebuild_from_type_v2\nq\x00(h\x00Nh\x00tR.")).toMatch(/cannot be made/);
    expect(await of("].")).toMatch(/holds no dictionary of weights/);
    expect(await of("}.")).toMatch(/there is nothing in it/);
    expect(await of("(K\x01.")).toMatch(/it ends with 1 values? in place of one|it ends with/);
    expect(await of("t.")).toMatch(/goes back to a mark that there is not/);
    expect(await of(".")).toMatch(/it ends with 0 values in place of one/);
    expect(await of("R.")).toMatch(/an empty stack/);
    expect(await of("h\x07.")).toMatch(/refers to value 7, which there is not/);
    expect(await of("\x80\x09}.")).toMatch(/of protocol 9, which is newer than 5/);
  });

  it("that announces more than is there is refused before memory is taken", async () => {
    const announced = (bytes: string) => new RegExp(`cut off: ${bytes} bytes are announced`);
    expect(await of("X\xff\xff\xff\xffabc")).toMatch(announced("4294967295"));
    expect(await of("\x8d\xff\xff\xff\xff\xff\xff\xff\x7fabc")).toMatch(announced("9223372036854775807"));
    expect(await of("\x8e\xff\xff\xff\xff\xff\xff\xff\xffabc")).toMatch(announced("18446744073709551615"));
    expect(await of("B\xff\xff\xff\x7fabc")).toMatch(announced("2147483647"));
    expect(await of("\x8b\xff\xff\xff\x7f")).toMatch(/it has a number of 2147483647 bytes/);
    expect(await of("\x95\xff\xff\xff\xff\xff\xff\xff\x7f}.")).toMatch(/cut off in a frame/);
    expect(await of("cos")).toMatch(/cut off in a line/);
    expect(await of("X\x02\0\0\0\xff\xfe.")).toMatch(/a text that is not UTF-8/);
  });

  it("is bounded in operations, memo, stack and depth", async () => {
    expect(await of("(".repeat(2000))).toMatch(/nests deeper than 1000 levels/);
    expect(await of("]".repeat(600_000))).toMatch(/its stack is higher than 500000/);
    expect(await of("]0".repeat(1_100_000), "}.")).toMatch(/more than 2000000 operations/);
    const indices = Buffer.alloc(5 * 500_001, "r");
    for (let i = 0; i <= 500_000; ++i) indices.writeUInt32LE(i, 5 * i + 1);
    expect(await of("]", indices, ".")).toMatch(/remembers more than 500000 values/);
    // "Billion laughs": each list holds the one before ten times. Lists refer to each other, so that it is small.
    const laughs = Array.from({ length: 200 }, (_, i) =>
      program("](", `h${String.fromCharCode(i)}`.repeat(10), "eq", i + 1),
    );
    expect(await of("]q\x00", ...laughs, "0}.")).toMatch(/it ends with|nothing in it/);
    expect(await of("]q\x00h\x00a0}.")).toMatch(/nothing in it/); // A list that holds itself.
    expect(await of("}q\x00", unicode("state_dict"), "h\x00s.")).toMatch(/holds no weights/); // And a dictionary.
    expect(await said(torchZip({ ...records, "data.pkl": new Uint8Array(17 * 2 ** 20) }))).toMatch(
      /record "data\.pkl" has \d+ bytes, and at most 16777216 are read/,
    );
  });

  it("has storages as torch.save names them, of the size of their records", async () => {
    const id = (...pieces: Parameters<typeof program>) => of("(", ...pieces, "tQ.");
    expect(await of("K\x01Q.")).toMatch(/outside of it that is no storage/);
    expect(await of(unicode("/etc/passwd"), "Q.")).toMatch(/outside of it that is no storage/);
    const float = "ctorch\nFloatStorage\n";
    expect(await id(unicode("module"), float, unicode("0"), "NK\x01")).toMatch(/that is no storage/);
    expect(await id(unicode("storage"), "N", unicode("0"), "NK\x01")).toMatch(/of no known class/);
    expect(await id(unicode("storage"), float, "NNK\x01")).toMatch(/without a name/);
    expect(await id(unicode("storage"), float, unicode("0"), "NJ\xff\xff\xff\xff")).toMatch(
      /no number of elements/,
    );
    const tensor = (from: Uint8Array) => of(dictionary(tensorOf(from, 0, [2], [1])));
    expect(await tensor(storage(elements + 1))).toMatch(
      /lies in storage "0" of \d+ bytes, whose record has \d+/,
    );
    expect(await tensor(storage(2 ** 31 - 1))).toMatch(/of 8589934588 bytes, whose record has/);
    expect(await tensor(storage(2, "../version"))).toMatch(/whose record is not there/);
    expect(await tensor(storage(2, "99999"))).toMatch(
      /storage "99999" of 8 bytes, whose record is not there/,
    );
    const twice = dictionary(tensorOf(storage(elements), 0, [2], [1]), tensorOf(storage(9), 0, [2], [1]));
    expect(await of(twice)).toMatch(/describes storage "0" in two ways/);
  });

  it("has tensors that lie in their storage, and not more than the file could hold", async () => {
    const tensor = (...of_: [number, number[], number[]]) =>
      of(dictionary(tensorOf(storage(elements), ...of_)));
    expect(await tensor(0, [elements + 1], [1])).toMatch(
      /that ends at byte \d+ of its storage, which has \d+/,
    );
    expect(await tensor(1, [elements], [1])).toMatch(/that ends at byte/);
    expect(await tensor(0, [2, 2 ** 31 - 1], [1, 2 ** 31 - 1])).toMatch(/that ends at byte/);
    expect(await tensor(-1, [1], [1])).toMatch(/not whole numbers from 0 on/);
    expect(await tensor(0, [-1], [1])).toMatch(/not whole numbers/);
    expect(await tensor(0, [2], [-1])).toMatch(/not whole numbers/);
    expect(await tensor(0, [2], [1, 1])).toMatch(/not whole numbers/);
    expect(await tensor(0, Array(65).fill(1), Array(65).fill(0))).toMatch(/a tensor of 65 axes/);
    expect(await tensor(0, [2 ** 30], [0])).toMatch(/far more than the file holds/);
    expect(await tensor(0, [2 ** 30, 2 ** 30, 2 ** 30], [0, 0, 0])).toMatch(/far more than the file holds/);
    expect(await of(dictionary(tensorOf(program("N"), 0, [1], [1])))).toMatch(/a tensor without a storage/);
  });
});

it("a tensor has a name that a terminal can show", async () => {
  for (const name of ["\x1b[2J", "a\nb", "x".repeat(501), "\u202egpj"]) {
    const message = await of("}", unicode(name), tensorOf(storage(elements), 0, [1], [1]), "s.");
    expect(message).toMatch(/it has a tensor by the name ".*", which is none of a network's/);
    expect(message).not.toMatch(/\p{C}/u);
  }
});

describe("the zip file", () => {
  it("has each record once, uncompressed, and none larger than the file", async () => {
    const entries = Object.fromEntries(Object.entries(records).map(([name, bytes]) => [`a/${name}`, bytes]));
    expect(await said(zipSync(entries, { level: 9 }))).toMatch(
      /is compressed, which torch\.save does not do/,
    );
    const doubled = Buffer.from(
      torchZip({ ...records, "data/x": new Uint8Array(4), "data/y": new Uint8Array(4) }),
    );
    const text = doubled.toString("latin1").replaceAll("archive/data/y", "archive/data/x");
    expect(await said(Buffer.from(text, "latin1"))).toMatch(/has the record "archive\/data\/x" twice/);
    const two = { ...entries, "b/data.pkl": new Uint8Array(1) };
    expect(await said(zipSync(two, { level: 0 }))).toMatch(/none that torch\.save wrote/);
    expect(await said(torchZip({ ...records, byteorder: Buffer.from("middle") }))).toMatch(
      /its byte order is "middle", which is neither little nor big/,
    );
    expect(await said(torchZip({ ...records, byteorder: Buffer.alloc(9) }))).toMatch(/at most 6 are read/);
  });

  it("that lies about sizes is refused before memory is taken", async () => {
    const zip = Buffer.from(torchZip(records));
    for (let at = zip.indexOf("PK\x01\x02"); at >= 0; at = zip.indexOf("PK\x01\x02", at + 1)) {
      const lying = Buffer.from(zip);
      lying.writeUInt32LE(2 ** 31, at + 20);
      lying.writeUInt32LE(2 ** 31, at + 24);
      expect(await said(lying)).toMatch(/records have \d+ bytes together, and the file has \d+/);
    }
  });

  it("that is damaged in a record is noticed by its checksum", async () => {
    const zip = Buffer.from(whole);
    zip[zip.indexOf(records["data/0"] as Uint8Array) + 5]! ^= 1;
    expect(await said(zip)).toMatch(/the checksum of its record "data\/0" is wrong/);
  });

  it("that is cut off anywhere is refused", async () => {
    for (let length = 0; length < whole.length; length += 389) await said(whole.subarray(0, length));
  });
});
