/** `medmamba show`: the PNG that it writes, and that nothing is lost by it. */
import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import sharp from "sharp";
import { beforeAll, describe, expect, it } from "vitest";
import { data, MedMamba, saveCheckpoint } from "../../src/index.js";
import { medmamba } from "../support/command.js";
import { fixture } from "../support/repository.js";
import { picture, root, write } from "../support/temporary-folder.js";

const show = (...args: string[]) => medmamba(root, "show", ...args);

/** A PNG's values and what they are. */
async function pixels(file: string, depth: "uchar" | "ushort" = "uchar") {
  const image = sharp(join(root, file));
  const { space, channels } = await image.metadata();
  const { data: bytes, info } = await image
    .toColourspace(space)
    .raw({ depth })
    .toBuffer({ resolveWithObject: true });
  const values = depth === "uchar" ? [...bytes] : [...new Uint16Array(new Uint8Array(bytes).buffer)];
  return { values, width: info.width, height: info.height, space, channels };
}

const nifti = (name: string): Buffer => {
  const { small } = JSON.parse(readFileSync(fixture("nifti.json"), "utf8"));
  return gunzipSync(Buffer.from(small[name].file, "base64"));
};

beforeAll(async () => {
  await write("grey.png", await picture(16, (i) => i % 256));
  await write("volume.nii", nifti("4-D"));
  const signed = JSON.parse(readFileSync(fixture("tiff.json"), "utf8")).int16.file;
  await write("signed.tif", Buffer.from(signed, "base64"));
  const model = new MedMamba({ depths: [1, 1], dims: [16, 32], numClasses: 2 });
  await saveCheckpoint(join(root, "best.safetensors"), model.stateDict(), {
    config: model.config,
    classes: ["a", "b"],
    preprocessing: data.definePreprocessing({ imageSize: 12, slices: "coronal", bitDepth: 16 }),
  });
  model.dispose();
});

describe("show", () => {
  it("writes a picture pixel for pixel", async () => {
    const { status, stdout } = show("grey.png", "--out", "same.png");
    expect([status, stdout]).toEqual([0, "same.png: 16 x 16 pixels, grey of 8 bits\n"]);
    expect(await pixels("same.png")).toEqual(await pixels("grey.png"));
  });

  it("takes window, depth, slices and frame", async () => {
    const chosen = ["--window", "60,120", "--bit-depth", "16", "--slices", "sagittal", "--frame", "4"];
    const { status, stdout } = show("volume.nii", "--out", "cut.png", "--json", ...chosen);
    expect(status).toBe(0);
    expect(JSON.parse(stdout)).toEqual({
      ...{ file: "volume.nii", out: "cut.png", frame: 4, frames: 6, width: 4, height: 5, channels: 1 },
      ...{ bitDepth: 16, photometric: "grey", spacing: { rows: 3, columns: 0.75 } },
    });
    const { values, space, width } = await pixels("cut.png", "ushort");
    expect([space, width]).toEqual(["grey16", 4]);
    const stored = new Int16Array(nifti("4-D").buffer.slice(352)); // frame 4: x 1 of the second volume
    const at = (y: number, z: number) => stored[1 + 3 * (y + 4 * (z + 5))] ?? 0;
    const share = (value: number) => Math.round(Math.min(1, Math.max(0, value / 120)) * 65535);
    expect(values.slice(0, 4)).toEqual([3, 2, 1, 0].map((y) => share(at(y, 4))));
    const coronal = show("volume.nii", "--out", "flat.png", "--slices", "coronal").stdout;
    expect(coronal).toMatch(/, frame 2 of 8/); // of the first volume's 4, the one in the middle
    expect(coronal).toMatch(/Its pixels are 3 mm high and 0.5 mm wide/);
  });

  it("shows what a network gets, at its size and in its channels", async () => {
    const { status, stdout } = show(
      ...[
        "volume.nii",
        "--out",
        "input.png",
        "--as-input",
        "--checkpoint",
        "best.safetensors",
        "--frame",
        "5",
        "--json",
      ],
    );
    expect(status).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ width: 12, height: 12, channels: 3, bitDepth: 16, frames: 8 });
    const { values, channels } = await pixels("input.png", "ushort");
    expect(channels).toBe(3);
    const preprocessing = { imageSize: 12, slices: "coronal", bitDepth: 16 } as const;
    const { loadImage } = data;
    const first = await loadImage(join(root, "volume.nii"), preprocessing);
    expect(
      show("volume.nii", "--out", "first.png", "--as-input", "--checkpoint", "best.safetensors").status,
    ).toBe(0);
    const shown = (await pixels("first.png", "ushort")).values.filter((_, i) => i % 3 === 0);
    expect(shown).toEqual([...first.data.slice(0, 144)].map((value) => Math.round(value * 65535)));
    expect(values).not.toEqual((await pixels("first.png", "ushort")).values);
  });

  it("shows the slice that a checkpoint's training took", async () => {
    const model = new MedMamba({ depths: [1, 1], dims: [16, 32], numClasses: 2 });
    await saveCheckpoint(join(root, "first.safetensors"), model.stateDict(), {
      config: model.config,
      classes: ["a", "b"],
      preprocessing: data.definePreprocessing({ imageSize: 12, slices: "coronal" }),
      provenance: { opening: { frames: "first" } }, // as they were saved when that was the default
    });
    model.dispose();
    const frameOf = (checkpoint: string) =>
      JSON.parse(
        show(
          ...["volume.nii", "--out", "frame.png", "--overwrite", "--json"],
          ...["--as-input", "--checkpoint", checkpoint],
        ).stdout,
      ).frame;
    expect([frameOf("first.safetensors"), frameOf("best.safetensors")]).toEqual([0, 2]);
  });

  it("destroys nothing", async () => {
    const before = readFileSync(join(root, "grey.png"));
    await write("kept.png", "mine");
    const there = show("grey.png", "--out", "kept.png");
    expect(there).toMatchObject({ status: 1, stdout: "" });
    expect(there.stderr).toBe(
      "medmamba: kept.png is there already: name another file, or add --overwrite.\n",
    );
    const itself = show("grey.png", "--out", join(root, "grey.png"), "--overwrite");
    expect(itself.status).toBe(2);
    expect(itself.stderr).toMatch(/is the image itself/);
    expect(readFileSync(join(root, "grey.png")).equals(before)).toBe(true);
    expect(readFileSync(join(root, "kept.png"), "utf8")).toBe("mine");
    expect(show("grey.png", "--out", "kept.png", "--overwrite").status).toBe(0);
    expect(statSync(join(root, "kept.png")).size).toBeGreaterThan(50);
  });

  it.each([
    [2, ["grey.png", "--out", "x.jpg"], /let the name end in \.png/],
    [2, ["grey.png", "--out", "x.png", "--as-input"], /name it with --checkpoint FILE/],
    [2, ["grey.png", "--out", "x.png", "--checkpoint", "best.safetensors"], /give both, or none/],
    [
      2,
      ["grey.png", "--out", "x.png", "--as-input", "--checkpoint", "best.safetensors", "--window", "lung"],
      /from the checkpoint: leave them out/,
    ],
    [2, ["grey.png", "--out", "x.png", "--window", "wide"], /It has to be auto, percentile, lung/],
    [
      1,
      ["grey.png", "--out", "none/x.png"],
      /^medmamba: --out none\/x\.png: there is no folder none; make it first\.\n$/,
    ],
    [1, ["gray.png", "--out", "x.png"], /there is no such image; did you mean grey\.png\?/],
    [1, ["volume.nii", "--out", "x.png", "--frame", "10"], /there is no frame 10, frames are 0 to 9/],
    [1, ["signed.tif", "--out", "x.png"], /signed integers of 16 bits, and nothing says/],
  ] as const)("ends with %i and one sentence for %j", (code, args, words) => {
    const { status, stderr, stdout } = show(...args);
    expect([status, stdout]).toEqual([code, ""]);
    expect(stderr).toMatch(words);
  });
});
