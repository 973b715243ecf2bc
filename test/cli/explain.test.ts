/** `medmamba explain`: three files an image, what it says, and what it refuses. */
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import sharp from "sharp";
import { beforeAll, describe, expect, it } from "vitest";
import { studyImage } from "../support/dicom-study.js";
import { hasDicom3tools, iodProblems } from "../support/dicom-tools.js";
import { program } from "../support/repository.js";
import { smallRecipe, study, writeScans } from "../support/small-study.js";
import { root, write } from "../support/temporary-folder.js";

function explain(...args: string[]) {
  const given = ["explain", "--checkpoint", "run/best.safetensors", "--device", "cpu", ...args];
  return spawnSync(process.execPath, [program, ...given], { cwd: root, encoding: "utf8" });
}

/** Wider than high, which the network gets in a square. */
const picture = { width: 40, height: 24 };

beforeAll(async () => {
  await writeScans(join(root, "scans"));
  await study(join(root, "run"), { ...smallRecipe, data: join(root, "scans") });
  const noise = Uint8Array.from({ length: picture.width * picture.height }, (_, i) => (i * 97) % 251);
  const scan = await sharp(noise, { raw: { ...picture, channels: 1 } })
    .png()
    .toBuffer();
  await write("a/scan.png", scan);
  await write("b/scan.png", scan);
  await write("a/broken.png", scan.subarray(0, 60));
}, 60_000);

describe("explain", () => {
  it("writes picture, map and numbers of each image, and a line", async () => {
    const { stdout, stderr, status } = explain("--out", "maps", "a/scan.png", "b/scan.png");
    expect([status, stderr]).toEqual([0, expect.not.stringContaining("Error")]);
    expect(stdout.split("\n").slice(0, 2)).toEqual([
      expect.stringMatching(/^a\/scan\.png .*(at row \d+, column \d+|nothing in the image speaks for \w+)$/),
      expect.stringMatching(/^b\/scan\.png .*(at row \d+, column \d+|nothing in the image speaks for \w+)$/),
    ]);
    const drawn = await sharp(join(root, "maps/scan.png")).metadata();
    expect([drawn.width, drawn.height]).toEqual([2 * picture.width + 8, picture.height]);
    expect(existsSync(join(root, "maps/scan-2.png"))).toBe(true);
    const told = JSON.parse(readFileSync(join(root, "maps/scan.json"), "utf8"));
    expect(stdout.includes("nothing in the image")).toBe(told.peak.value < 0.001);
    expect(told.scale).toBeCloseTo(Math.max(0.001, told.peak.value), 9);
    const bytes = readFileSync(join(root, "maps/scan.npy"));
    expect(bytes.length).toBe(128 + 4 * told.map.height * told.map.width);
    expect(told.peak.row).toBeLessThan(picture.height);
    expect(told.files).toEqual(["maps/scan.png", "maps/scan.npy", "maps/scan.json"]);
  });

  it("--json has the same of all, --fidelity what the map is worth", () => {
    const { stdout } = explain(
      "--out",
      "maps",
      "--json",
      "--fidelity",
      "--method",
      "occlusion",
      "a/scan.png",
    );
    const { explanations } = JSON.parse(stdout);
    expect(explanations).toHaveLength(1);
    expect(explanations[0]).toMatchObject({ file: "a/scan.png", method: "occlusion" });
    const { deletion, random } = explanations[0].fidelity;
    for (const value of [deletion, random.deletion]) expect(value).toBeGreaterThanOrEqual(0);
  });

  it("--format dicom-sc has an image of DICOM in the place of the picture, of DICOM images", async () => {
    await write("ward/IM1", studyImage(1));
    const { stdout, stderr, status } = explain(
      "--out",
      "captures",
      "--format",
      "dicom-sc",
      "ward/IM1",
      "a/scan.png",
    );
    expect([status, stdout]).toEqual([
      1,
      expect.stringContaining("a/scan.png: no picture: it is no DICOM file"),
    ]);
    expect(stderr).toContain("1 of 2 images could not be explained.");
    const told = JSON.parse(readFileSync(join(root, "captures/IM1.json"), "utf8"));
    expect(told.files).toEqual(["captures/IM1.sc.dcm", "captures/IM1.npy", "captures/IM1.json"]);
    expect(existsSync(join(root, "captures/scan.json"))).toBe(false);
    expect(JSON.stringify(told)).not.toMatch(/4711|M.ller/);
    if (hasDicom3tools)
      expect(iodProblems(join(root, "captures/IM1.sc.dcm"))).toEqual([
        expect.stringContaining("<Laterality>"),
      ]);
  });

  it("goes on where an image cannot be read, and ends with 1", () => {
    const { stdout, stderr, status } = explain("--out", "maps", "a/broken.png", "a/scan.png");
    expect(status).toBe(1);
    expect(stdout).toContain("a/broken.png could not be read");
    expect(stdout).toContain("a/scan.png");
    expect(stderr).toContain("1 of 2 images could not be explained.");
  });

  it("refuses a class that there is not, and makes no folder for it", () => {
    const { stderr, status } = explain("--out", "none", "--label", "bening", "a/scan.png");
    expect([status, stderr]).toEqual([2, expect.stringContaining('did you mean "benign"?')]);
    expect(existsSync(join(root, "none"))).toBe(false);
  });
});
