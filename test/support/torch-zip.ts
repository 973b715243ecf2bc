/** Zip files like those of torch.save, made of records, so that tests can change a record and leave the rest as it is. */
import { unzipSync, zipSync } from "fflate";

/** By their names without the folder that all are in. */
export type Records = Record<string, Uint8Array>;

const folder = "archive/";

export function recordsOf(zip: Uint8Array): Records {
  return Object.fromEntries(
    Object.entries(unzipSync(zip)).map(([name, bytes]) => [name.slice(name.indexOf("/") + 1), bytes]),
  );
}

export function torchZip(records: Records): Uint8Array {
  return zipSync(Object.fromEntries(Object.entries(records).map(([name, bytes]) => [folder + name, bytes])), {
    level: 0,
  });
}

/** Pieces of a pickle: texts are opcodes and their text as they are, numbers single bytes. */
export function program(...pieces: (string | number | Uint8Array)[]): Buffer {
  return Buffer.concat(
    pieces.map((piece) =>
      typeof piece === "string"
        ? Buffer.from(piece, "latin1")
        : typeof piece === "number"
          ? Buffer.from([piece])
          : piece,
    ),
  );
}

/** BINUNICODE. */
export function unicode(text: string): Buffer {
  const bytes = Buffer.from(text);
  const head = Buffer.from("X\0\0\0\0", "latin1");
  head.writeUInt32LE(bytes.length, 1);
  return Buffer.concat([head, bytes]);
}

/** BININT. */
export function integer(value: number): Buffer {
  const bytes = Buffer.from("J\0\0\0\0", "latin1");
  bytes.writeInt32LE(value, 1);
  return bytes;
}
