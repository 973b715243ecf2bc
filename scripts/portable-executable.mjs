// What a library of Windows says of itself, for scripts/verify-prebuilds.mjs: there is no readelf for these in binutils, and
// objdump knows them only where it was built for them.
// The format: https://learn.microsoft.com/windows/win32/debug/pe-format
import { readFileSync } from "node:fs";

const directories = { exports: 0, imports: 1, delayed: 13 };

/**
 * @param {string} path
 * @returns {{
 *   machine: number, isLibrary: boolean, symbols: number, built: number, characteristics: number,
 *   imports: { library: string, names: string[] }[], exports: string[]
 * }} `built` in seconds since 1970, 0 if it was left out; imports with those that are looked up at the first call
 * @throws RangeError or Error if it is no such file, or cut off
 */
export function readPortableExecutable(path) {
  const bytes = readFileSync(path);
  const start = bytes.readUInt32LE(60);
  if (bytes.toString("latin1", 0, 2) !== "MZ" || bytes.toString("latin1", start, start + 4) !== "PE\0\0")
    throw new Error("it has no signature of a portable executable");
  const optional = start + 24;
  if (bytes.readUInt16LE(optional) !== 0x20b) throw new Error("it is not for 64 bits");
  const sections = Array.from({ length: bytes.readUInt16LE(start + 6) }, (_, i) => {
    const at = optional + bytes.readUInt16LE(start + 20) + 40 * i;
    return {
      address: bytes.readUInt32LE(at + 12),
      size: bytes.readUInt32LE(at + 16),
      offset: bytes.readUInt32LE(at + 20),
    };
  });

  /** Where in the file an address of the loaded library is. */
  const place = (address) => {
    const home = sections.find((one) => address >= one.address && address < one.address + one.size);
    if (!home) throw new Error(`the address ${address} is in no section`);
    return address - home.address + home.offset;
  };
  const word = (address) => bytes.readUInt32LE(place(address));
  const text = (address) => bytes.toString("latin1", place(address), bytes.indexOf(0, place(address)));
  const directory = (index) => bytes.readUInt32LE(optional + 112 + 8 * index);

  /** Names in a table of them, which ends with a zero; an ordinal in place of a name is "#5". */
  const namesAt = (address) => {
    const names = [];
    for (let at = address; ; at += 8) {
      const entry = bytes.readBigUInt64LE(place(at));
      if (entry === 0n) return names;
      names.push(entry >> 63n ? `#${entry & 0xffffn}` : text(Number(entry) + 2));
    }
  };
  const imports = [];
  for (const [index, size, nameAt, tableAt] of [
    [directories.imports, 20, 12, 0],
    [directories.delayed, 32, 4, 16],
  ]) {
    const first = directory(index);
    for (let at = first; first !== 0 && word(at + nameAt) !== 0; at += size)
      imports.push({ library: text(word(at + nameAt)), names: namesAt(word(at + tableAt)) });
  }
  const table = directory(directories.exports);
  const exported = table === 0 ? 0 : word(table + 24);
  return {
    machine: bytes.readUInt16LE(start + 4),
    isLibrary: (bytes.readUInt16LE(start + 22) & 0x2000) !== 0,
    symbols: bytes.readUInt32LE(start + 12),
    built: bytes.readUInt32LE(start + 8),
    characteristics: bytes.readUInt16LE(optional + 70),
    imports,
    exports: Array.from({ length: exported }, (_, i) => text(word(word(table + 32) + 4 * i))),
  };
}
