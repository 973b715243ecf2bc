/** `evaluate` on data that a checkpoint was trained on, and on others: which part is judged, and that it is said. */
import { spawnSync } from "node:child_process";
import { renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { zipSync } from "fflate";
import { beforeAll, describe, expect, it } from "vitest";
import { readHeader, readTensors, writeTensors } from "../../src/weights/safetensors.js";
import { npy } from "../support/npy.js";
import { program } from "../support/repository.js";
import { smallRecipe, study, writeScans } from "../support/small-study.js";
import { root, write } from "../support/temporary-folder.js";

function evaluate(data: string, ...args: string[]) {
  const given = [
    "evaluate",
    "--checkpoint",
    "run/best.safetensors",
    "--data",
    data,
    "--device",
    "cpu",
    ...args,
  ];
  return spawnSync(process.execPath, [program, ...given], { cwd: root, encoding: "utf8" });
}

/** What is said before the scores, its lines joined. */
function firstLine(data: string, ...args: string[]): string {
  const [heading = ""] = evaluate(data, ...args).stdout.split("\n\n");
  for (const line of heading.split("\n")) expect(line.length, line).toBeLessThanOrEqual(80);
  return heading.replaceAll("\n", " ");
}

beforeAll(async () => {
  await writeScans(join(root, "scans"));
  await writeScans(join(root, "elsewhere"), { seed: 1 });
  await writeScans(join(root, "divided/test"), { seed: 2, count: 3 });
  await writeScans(join(root, "one-class/test"), { seed: 2, count: 3 });
  rmSync(join(root, "one-class/test/malignant"), { recursive: true });
  await study(join(root, "run"), { ...smallRecipe, data: join(root, "scans") });
});

describe("evaluate", () => {
  it("judges the test images of the data that the model was trained on, wherever they are", () => {
    expect(firstLine("scans")).toBe("run/best.safetensors on the 4 test images of scans");
    renameSync(join(root, "scans"), join(root, "moved"));
    expect(firstLine("moved")).toBe("run/best.safetensors on the 4 test images of moved");
    expect(firstLine("moved", "--split", "all")).toBe("run/best.safetensors on all 24 images of moved");
    expect(firstLine("moved", "--split", "val")).toBe("run/best.safetensors on the 4 val images of moved");
  });

  it("judges all of others, as many as they may be and with the same labels", () => {
    const reason = "these are not the data that it was trained on";
    expect(firstLine("elsewhere")).toBe(`run/best.safetensors on all 24 images of elsewhere: ${reason}`);
    expect(firstLine("elsewhere", "--split", "test")).toBe(
      "run/best.safetensors on the 4 test images of elsewhere",
    );
    expect(JSON.parse(evaluate("elsewhere", "--json").stdout)).toMatchObject({ split: "all", samples: 24 });
  });

  it("takes data that have test images alone, and not all classes", () => {
    expect(firstLine("divided")).toContain("on all 6 images of divided");
    expect(firstLine("one-class")).toContain("on all 3 images of one-class");
  });

  it("takes archives that have test images alone, and of one class", async () => {
    const images = Uint8Array.from({ length: 5 * 256 }, (_, i) => (i * 11) % 256);
    const arrays = {
      "test_images.npy": npy("|u1", [5, 16, 16], images),
      "test_labels.npy": npy("|u1", [5, 1], Uint8Array.of(0, 0, 0, 0, 0)),
    };
    await write("outside.npz", zipSync(arrays));
    expect(firstLine("outside.npz")).toBe(
      "run/best.safetensors on all 5 images of outside.npz: these are not the data that it was trained on",
    );
    const { stderr } = evaluate("outside.npz");
    expect(stderr).toContain("test has no images of malignant");
    expect(firstLine("outside.npz", "--split", "test")).toContain("on the 5 test images of outside.npz");
    expect(evaluate("outside.npz", "--split", "val").stderr).toBe(
      "medmamba: outside.npz has no val images: choose another split.\n",
    );
  });

  it("judges the test images where a checkpoint does not say what it was trained on, and says so", async () => {
    const path = join(root, "run/best.safetensors");
    const { metadata } = await readHeader(path);
    const { data: _, ...provenance } = JSON.parse(metadata.provenance!);
    await writeTensors(path, await readTensors(path), {
      ...metadata,
      provenance: JSON.stringify(provenance),
    });
    expect(firstLine("elsewhere")).toMatch(/on the 4 test images of elsewhere: the checkpoint does not say/);
  });
});
