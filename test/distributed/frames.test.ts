/** Frames, however a connection cuts them, and bytes that are none. */
import { describe, expect, it } from "vitest";
import {
  FrameReader,
  frameHeader,
  frameKinds,
  packList,
  packPart,
  strangersLimit,
  unpackList,
  unpackPart,
} from "../../src/distributed/frames.js";

const frame = (bytes: Uint8Array): Uint8Array =>
  Buffer.concat([frameHeader(frameKinds.hello, bytes.length), bytes]);

describe("FrameReader", () => {
  it.each([1, 2, 3, 7, 1000])("puts frames together that come in pieces of %i bytes", (size) => {
    const contents = [0, 1, 5, 300, 0].map((length, i) => new Uint8Array(length).fill(i));
    const stream = Buffer.concat(contents.map(frame));
    const reader = new FrameReader();
    const found: Uint8Array[] = [];
    for (let at = 0; at < stream.length; at += size)
      for (const { kind, bytes } of reader.take(stream.subarray(at, at + size))) {
        expect(kind).toBe(frameKinds.hello);
        found.push(Uint8Array.from(bytes));
      }
    expect(found).toEqual(contents);
  });

  it("refuses a frame that says it is longer than a stranger's may be, before it comes", () => {
    const reader = new FrameReader();
    const header = frameHeader(frameKinds.hello, strangersLimit + 1);
    expect(() => [...reader.take(header)]).toThrow("no frame");
    expect(() => [...new FrameReader().take(new TextEncoder().encode("GET / HTTP/1.1\r\n"))]).toThrow(
      "no frame",
    );
    expect(() => [...new FrameReader().take(Uint8Array.of(0, 0, 0, 0, 99))]).toThrow("no frame");
  });
});

describe("packed", () => {
  it("parts and lists come out as they went in", () => {
    const part = { number: 7, name: "gather", bytes: Uint8Array.of(1, 2, 3) };
    expect(unpackPart(packPart(part.number, part.name, part.bytes))).toEqual(part);
    const list = [Uint8Array.of(), Uint8Array.of(9), Uint8Array.of(1, 2, 3, 4, 5)];
    expect(unpackList(packList(list))).toEqual(list);
  });

  it("bytes that are none are refused", () => {
    expect(() => unpackList(Uint8Array.of(255, 255, 255, 255, 1))).toThrow(RangeError);
    expect(() => unpackList(Uint8Array.of(1))).toThrow(RangeError);
    expect(() => unpackPart(Uint8Array.of(0, 0, 0, 0, 9))).toThrow(RangeError);
  });
});
