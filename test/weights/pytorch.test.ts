/**
 * Weights go to PyTorch and back: what PyTorch saves gives the same logits here, what we save loads there strictly and
 * gives the same logits. Needs python3 with torch and safetensors; skipped, with a warning, where they are missing.
 */
import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { beforeAll, describe, expect, it } from "vitest";
import {
  data,
  MedMamba,
  manualSeed,
  noGrad,
  safetensors,
  saveCheckpoint,
  type Tensor,
  tidy,
} from "../../src/index.js";
import { expectClose } from "../support/closeness.js";
import { repository } from "../support/repository.js";
import { root } from "../support/temporary-folder.js";

const python = (...parameters: string[]) => promisify(execFile)("python3", parameters);
const peer = join(repository, "test/support/torch_peer.py");

const available = await python("-c", "import torch, safetensors").then(
  () => true,
  () => false,
);
if (!available) console.warn("skipped: exchange with PyTorch needs python3 with torch and safetensors.");

describe.skipIf(!available)("MedMamba-T at 224 pixels", () => {
  const [ours, theirs, both] = ["ours", "theirs", "both"].map((name) =>
    join(root, `${name}.safetensors`),
  ) as [string, string, string];
  let peers: Record<string, Tensor>;

  beforeAll(async () => {
    manualSeed(8);
    const model = new MedMamba({ variant: "tiny" });
    const classes = ["a", "b", "c", "d", "e", "f"];
    const description = { config: model.config, classes, preprocessing: data.definePreprocessing() };
    await saveCheckpoint(ours, model.stateDict(), description);
    model.dispose();
    await python(peer, ours, theirs, both);
    peers = await safetensors.load(both);
  }, 120_000);

  it.each([
    ["what was saved here, in PyTorch", ours, "ours"],
    ["what was saved by PyTorch, here", theirs, "theirs"],
  ])("has the same logits with %s", async (_, path, name) => {
    const model = new MedMamba({ variant: "tiny" }).eval();
    model.loadStateDict(await safetensors.load(path));
    const logits = noGrad(() => tidy(() => model.forward(peers.images!)));
    await expectClose(logits, peers[name]!, { absolute: 1e-4 }, "logits");
    const size = Math.hypot(...(await peers[name]!.data()));
    expect(size).toBeGreaterThan(0.05);
    expect(size).toBeLessThan(50);
    model.dispose();
  });
});
