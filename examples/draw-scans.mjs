/**
 * Draws what a hospital might hand over, to try the package on before there are real data: DICOM files without endings,
 * as a PACS exports them, and a spreadsheet that says what they show.
 *
 *   node examples/draw-scans.mjs FOLDER
 *
 * writes FOLDER/scans/IM000001 ..., FOLDER/scans.csv, and FOLDER/new with four scans of two more patients. Slices look
 * faintly like a CT of a lung with a nodule, a smooth one where it is benign, one with spikes where it is malignant. They are
 * nobody's: names and numbers are invented.
 *
 * Three mistakes are in it, for an audit to find: the column `split` was dealt image by image, so patients are in two
 * parts; one scan was exported twice; and most malignant nodules come from one hospital, which has a scanner of its own.
 */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";

const side = 64;
const patients = 60;

/** Numbers from 0 to 1, the same ones each time (https://en.wikipedia.org/wiki/Linear_congruential_generator). */
let state = 1;
function random() {
  state = (1664525 * state + 1013904223) % 2 ** 32;
  return state / 2 ** 32;
}
const between = (low, high) => low + (high - low) * random();

/** Hounsfield units of a slice, row after row: lung with vessels, no two alike, and a nodule in it. */
function drawSlice(isMalignant) {
  const [x, y, radius] = [between(22, 42), between(22, 42), between(8, 11)];
  const [spikes, phase] = [Math.round(between(7, 10)), between(0, 6)];
  const vessels = Array.from({ length: 40 }, () => ({
    x: between(0, side),
    y: between(0, side),
    width: between(1.5, 4),
    density: between(100, 500),
  }));
  return Array.from({ length: side * side }, (_, at) => {
    const [column, row] = [at % side, Math.floor(at / side)];
    const angle = Math.atan2(row - y, column - x);
    const edge = isMalignant ? radius * (0.9 + 0.6 * Math.cos(spikes * angle + phase)) : radius; // of equal areas
    if (Math.hypot(row - y, column - x) < edge) return 30 + between(-60, 60);
    let value = -850 + between(-60, 60);
    for (const vessel of vessels) {
      const away = ((row - vessel.y) ** 2 + (column - vessel.x) ** 2) / vessel.width ** 2;
      value += vessel.density * Math.exp(-away / 2);
    }
    return Math.min(value, 100);
  });
}

/** An element of Explicit VR Little Endian: tag, type, length, value of an even length (DICOM PS3.5, 7.1). */
function element(tag, type, value) {
  const isNumber = typeof value === "number";
  const text = isNumber ? Buffer.from([value & 255, value >> 8]) : Buffer.from(value);
  const bytes = Buffer.concat([text, Buffer.alloc(text.length % 2, type === "UI" ? 0 : " ")]);
  const head = Buffer.alloc(type === "OW" ? 12 : 8);
  head.writeUInt16LE(tag >>> 16, 0);
  head.writeUInt16LE(tag & 0xffff, 2);
  head.write(type, 4, "latin1");
  if (type === "OW") head.writeUInt32LE(bytes.length, 8);
  else head.writeUInt16LE(bytes.length, 6);
  return Buffer.concat([head, bytes]);
}

/** A CT slice, 12 of 16 bits, stored with 1024 added as scanners do. */
function dicomFile({ number, patient, scanner, slice }) {
  const ctImage = "1.2.840.10008.5.1.4.1.1.2";
  const name = `2.25.77007700${number}`;
  const stored = new Uint16Array(slice.map((value) => Math.round(value + 1024)));
  const meta = [
    element(0x00020002, "UI", ctImage),
    element(0x00020003, "UI", name),
    element(0x00020010, "UI", "1.2.840.10008.1.2.1"),
  ];
  const length = Buffer.concat(meta).length;
  return Buffer.concat([
    Buffer.alloc(128),
    Buffer.from("DICM"),
    Buffer.from([2, 0, 0, 0, 85, 76, 4, 0, length, 0, 0, 0]), // (0002,0000), how long the header is
    ...meta,
    element(0x00080016, "UI", ctImage),
    element(0x00080018, "UI", name),
    element(0x00080060, "CS", "CT"),
    element(0x00080070, "LO", scanner),
    element(0x00100010, "PN", `Invented^Patient ${patient}`),
    element(0x00100020, "LO", `MRN-70${patient}`),
    element(0x00100030, "DA", "19600229"),
    element(0x00280002, "US", 1),
    element(0x00280004, "CS", "MONOCHROME2"),
    element(0x00280010, "US", side),
    element(0x00280011, "US", side),
    element(0x00280030, "DS", "0.7\\0.7"),
    element(0x00280100, "US", 16),
    element(0x00280101, "US", 12),
    element(0x00280102, "US", 11),
    element(0x00280103, "US", 0),
    element(0x00281052, "DS", "-1024"),
    element(0x00281053, "DS", "1"),
    element(0x7fe00010, "OW", new Uint8Array(stored.buffer)),
  ]);
}

/** Two slices of a patient, and what is known of them. */
function drawPatient(patient) {
  const isMalignant = patient % 2 === 1;
  const label = isMalignant ? "malignant" : "benign";
  const age = Math.round(between(38, 82));
  const site = random() < (isMalignant ? 0.95 : 0.05) ? "north" : "south";
  const scanner = site === "north" ? "Imaginary A" : "Imaginary B";
  const files = [2 * patient + 1, 2 * patient + 2].map((number) => ({
    name: `IM${String(number).padStart(6, "0")}`,
    bytes: dicomFile({ number, patient: 101 + patient, scanner, slice: drawSlice(isMalignant) }),
  }));
  return { files, facts: [`MRN-70${101 + patient}`, label, age, site, scanner] };
}

const [folder] = process.argv.slice(2);
if (!folder) throw new Error("Say where to draw: node examples/draw-scans.mjs FOLDER");
for (const name of ["scans", "new"]) await mkdir(join(folder, name), { recursive: true });

const lines = ["path,patient,label,age,site,scanner,split"];
const known = Array.from({ length: patients }, (_, patient) => drawPatient(patient));
known[2].files[0].bytes = known[0].files[0].bytes; // exported twice, as two patients'
for (const { files, facts } of known) {
  for (const { name, bytes } of files) {
    await writeFile(join(folder, "scans", name), bytes);
    const split = ["train", "test", "train", "val", "train"][lines.length % 5];
    lines.push([`scans/${name}`, ...facts, split].join(","));
  }
}
await writeFile(join(folder, "scans.csv"), `${lines.join("\n")}\n`);

for (const patient of [patients, patients + 1])
  for (const { name, bytes } of drawPatient(patient).files) await writeFile(join(folder, "new", name), bytes);
console.log(`${lines.length - 1} scans of ${patients} patients in ${folder}, and 4 new ones`);
