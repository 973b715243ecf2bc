/** `medmamba info`: what it says of each kind of file, and that it says nothing of a patient. */
import { cpSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { zipSync } from "fflate";
import sharp from "sharp";
import { beforeAll, describe, expect, it } from "vitest";
import { medmamba } from "../support/command.js";
import { given } from "../support/given-files.js";
import { dicomFile } from "../support/identifying-dicom-file.js";
import { npy } from "../support/npy.js";
import { fixture } from "../support/repository.js";
import { png, root, write } from "../support/temporary-folder.js";

/** A command that has to succeed. */
function info(file: string): Record<string, unknown> {
  const { status, stdout, stderr } = medmamba(root, "info", file, "--json");
  expect(stderr).toBe("");
  expect(status).toBe(0);
  return JSON.parse(stdout);
}

/** The lines for people, none wider than a terminal of 80 columns. */
function lines(file: string): string[] {
  const { status, stdout } = medmamba(root, "info", file);
  expect(status).toBe(0);
  const found = stdout.trimEnd().split("\n");
  for (const line of found) expect(line.length, line).toBeLessThanOrEqual(80);
  return found;
}

const patient = "Vogelsang";

/** As a safetensors file begins. */
function lengthOf(header: string): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(header.length));
  return bytes;
}

beforeAll(async () => {
  cpSync(fixture("run-0.1.0/best.safetensors"), join(root, "best.safetensors"));
  cpSync(fixture("run-0.1.0"), join(root, "run"), { recursive: true });
  cpSync(fixture("model_odd.safetensors"), join(root, "other.safetensors"));
  const golden = JSON.parse(readFileSync(fixture("nifti.json"), "utf8")).small.scaled.file;
  const volume = gunzipSync(Buffer.from(golden, "base64"));
  volume.write(patient, 148); // descrip
  volume.write(patient, 328); // intent_name
  await write("volume.nii", volume);
  const strange = JSON.stringify({ __metadata__: { "\u001b[31mred": "x" } });
  await write("strange.safetensors", Buffer.concat([lengthOf(strange), Buffer.from(strange)]));
  await write(
    "pickle.pth",
    zipSync({ "archive/data.pkl": new Uint8Array(9), "archive/data/0": new Uint8Array(4) }),
  );
  await write("old.pth", Buffer.from("\x80\x02\x8a\x0al\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19\x2e", "latin1"));
  await write("scan.dcm", dicomFile({ text: patient, size: 8 }));
  await write(
    "set.npz",
    zipSync({
      "train_images.npy": npy("|u1", [4, 2, 2], new Uint8Array(16)),
      "train_labels.npy": npy("|u1", [4, 1], Uint8Array.of(0, 1, 1, 1)),
      "many_labels.npy": npy("<i8", [2, 3], new Uint8Array(BigInt64Array.of(1n, 0n, 1n, 0n, 0n, 1n).buffer)),
    }),
  );
  for (const name of ["a", "b"]) for (const i of [1, 2, 3]) await write(`set/${name}/${i}.png`, await png(i));
  await write("loose/1.png", await png(1));
  await write("list.csv", "path,label,patient,split\na.png,x,p1,train\nb.png,y,p2,train\nc.png,y,p3,test\n");
  await write("other.csv", "name;age\nx;3\n");
  const exif = { IFD0: { ImageDescription: patient, Artist: patient } };
  await write(
    "photo.jpg",
    await sharp(await png(7))
      .jpeg()
      .withExif(exif)
      .withMetadata({ orientation: 6 })
      .toBuffer(),
  );
});

describe("info", () => {
  it("of a checkpoint: what it tells, in which network, from which input", () => {
    expect(info("best.safetensors")).toMatchObject({
      ...{
        kind: "checkpoint",
        task: "binary",
        classes: ["benign", "malignant"],
        epoch: 1,
        canBeResumed: false,
      },
      network: { depths: [1, 1], dims: [4, 8] },
      input: { imageSize: 16, channels: 1, window: "auto" },
      validation: { accuracy: 0.5 },
    });
    expect(lines("best.safetensors")).toContain("classes         benign, malignant");
  });

  it("of weights of others", () => {
    expect(info("other.safetensors")).toMatchObject({ kind: "weights", network: "MedMamba" });
    expect(lines("strange.safetensors").join()).not.toContain("\u001b");
    for (const file of ["pickle.pth", "old.pth"])
      expect(info(file)).toMatchObject({ kind: "PyTorch file", advice: "`medmamba convert` reads it" });
  });

  it("of an archive: its arrays, and how often each label is there", () => {
    expect(info("set.npz")).toMatchObject({
      kind: "archive",
      arrays: { train_images: "4 x 2 x 2 uint8", train_labels: "4 x 1 uint8", many_labels: "2 x 3 int64" },
      labels: { train: { 0: 1, 1: 3 }, many: { 0: 1, 2: 2 } },
    });
    expect(lines("set.npz").join("\n")).toMatch(/train \(0: 1, 1: 3\)/);
  });

  it("of a table and of folders, data sets or not", () => {
    const columns = ["path", "label", "patient", "split"];
    expect(info("list.csv")).toMatchObject({
      ...{
        kind: "table",
        columns,
        lines: 3,
        classes: ["x", "y"],
        images: { train: 2, test: 1 },
        divided: true,
      },
    });
    const refused = { dataSet: "no, or not without options: `medmamba audit` says why" };
    expect(info("other.csv")).toMatchObject({ columns: ["name", "age"], lines: 1, ...refused });
    expect(info("set")).toMatchObject({ kind: "folder", classes: ["a", "b"], images: 6, divided: false });
    expect(info("run")).toMatchObject({
      kind: "run",
      checkpoint: "run/best.safetensors",
    });
    expect(info("loose")).toMatchObject({ kind: "folder", images: 1, endings: [".png"], ...refused });
  });

  it("of images: format, size, values", () => {
    expect(info("volume.nii")).toMatchObject({
      ...{
        kind: "image",
        format: "NIfTI-1",
        voxels: [3, 4, 5],
        spacing: [0.5, 0.75, 3],
        volumes: 1,
        axes: "RAS",
      },
      ...{ values: "16-bit integers", scale: { slope: 2.5, intercept: -1024 } },
      slices: { axial: 5, coronal: 4, sagittal: 3 },
    });
    expect(lines("volume.nii")).toContain("voxels     3 x 4 x 5");
    expect(info("photo.jpg")).toMatchObject({
      format: "JPEG",
      width: 8,
      height: 8,
      values: "8 bits",
      orientation: 6,
    });
  });

  it("of DICOM: its kind, encoding and size", () => {
    expect(info("scan.dcm")).toMatchObject({
      ...{ kind: "image", format: "DICOM", modality: "OT", rows: 8, columns: 8, frames: 1, bitsStored: 8 },
      transferSyntax: { uid: "1.2.840.10008.1.2.1", name: "Explicit VR Little Endian" },
    });
  });

  it("of nothing that tells of a patient", () => {
    for (const file of ["volume.nii", "photo.jpg", "list.csv", "scan.dcm"]) {
      for (const args of [[], ["--json"], ["--verbose"]]) {
        const { stdout, stderr } = medmamba(root, "info", file, ...args);
        expect(stdout + stderr).not.toMatch(new RegExp(`${patient}|p1\\b`));
      }
    }
  });

  it.each([
    ["nothing.bin", "", /^medmamba: nothing\.bin is empty\.\n$/],
    ["what.bin", "whatever this is", /what\.bin is none of the files that are known here: weights, archives/],
    ["cut.safetensors", "\x10", /cut\.safetensors/],
    ["cut.npz", "PK\x03\x04 and no more", /cut\.npz is not a whole \.npz file/],
    ["cut.nii", "\x5c\x01\0\0 and no more", /named like a NIfTI file, but does not begin like one/],
  ])("of %s: one sentence", async (file, bytes, words) => {
    await write(file, bytes);
    const { status, stdout, stderr } = medmamba(root, "info", file);
    expect([status, stdout]).toEqual([1, ""]);
    expect(stderr).toMatch(words);
    expect(stderr.trimEnd()).not.toMatch(/\n/);
  });
});

const archive = given("data/pneumoniamnist.npz");
it.skipIf(!archive)("of a MedMNIST set, as its authors count it", () => {
  expect(info(archive ?? "")).toMatchObject({
    arrays: { train_images: "3882 x 28 x 28 uint8" },
    labels: { train: { 0: 388, 1: 3494 }, val: { 0: 135, 1: 389 }, test: { 0: 234, 1: 390 } },
  });
});
