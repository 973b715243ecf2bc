/** A run from a checkpoint has its network and preprocessing unless told otherwise. */
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { safetensors, WeightsError } from "../../src/index.js";
import type { StudyProgress } from "../../src/study/carry-out.js";
import { planStart } from "../../src/study/run-directory.js";
import { failure } from "../support/failure.js";
import { smallRecipe, study, writeScans } from "../support/small-study.js";
import { root, write } from "../support/temporary-folder.js";

const data = join(root, "scans");
const init = join(root, "first/best.safetensors");

beforeAll(async () => {
  await writeScans(data);
  await study(join(root, "first"), { ...smallRecipe, mean: [0.4], data, epochs: 1 });
});

describe("--init", () => {
  it("takes what the checkpoint says, and the flags where they say otherwise", async () => {
    const { plan, inherited } = await planStart(join(root, "next"), { data, init, imageSize: 32 }, {});
    expect(plan.model).toMatchObject({ dims: [4, 8], depths: [1, 1] });
    expect(plan.preprocessing).toMatchObject({ imageSize: 32, channels: 1, mean: [0.4] });
    expect(inherited).toEqual({ dims: [4, 8], depths: [1, 1], channels: 1, mean: [0.4] });
    expect(plan.settings).toMatchObject({ epochs: 30, batchSize: 32 });
  });

  it("trains on with no other option, and says what was taken", async () => {
    const said: StudyProgress[] = [];
    const options = { data, init, epochs: 1 };
    const { result } = await study(join(root, "second"), options, {
      onProgress: (progress) => said.push(progress),
    });
    expect(result.stopped).toBe("completed");
    const prepared = said.find(({ type }) => type === "prepared");
    expect(prepared).toMatchObject({ initial: { head: true }, inherited: { imageSize: 16 } });
  });

  it("takes nothing but weights from bare weights", async () => {
    const bare = join(root, "bare.safetensors");
    await safetensors.save(bare, await safetensors.load(init));
    const { plan, inherited } = await planStart(join(root, "next"), { data, init: bare }, {});
    expect(plan.preprocessing.imageSize).toBe(224);
    expect(inherited).toBeUndefined();
  });

  it("says of a file that is none what it is, before data are read", async () => {
    const pickle = await write("model.pt", Buffer.from([0x80, 2, 0x8a, 10, 9, 9, 9, 9, 9, 9]));
    const start = planStart(join(root, "next"), { data: join(root, "no data"), init: pickle }, {});
    expect(await failure(WeightsError, start)).toContain("Python pickle");
  });
});
