/** Programs in CommonJS get the same codecs, from the bundle that older versions of Node load. */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { expect, it } from "vitest";
import { fixture, repository } from "../../../support/repository.js";

it("every codec is there for require", () => {
  const names = [
    "deflated-12",
    "jpeg-baseline-rgb",
    "jpeg-lossless-12",
    "jpeg-ls-12",
    "jpeg-2000-12",
    "htj2k-8",
  ];
  const program = `
    const { data } = require(${JSON.stringify(join(repository, "dist/cjs/index.js"))});
    (async () => {
      for (const name of ${JSON.stringify(names)}) {
        const file = ${JSON.stringify(fixture("dicom"))} + "/" + name + ".dcm";
        const { width } = await data.loadImage(file, { imageSize: 8, channels: 1 });
        console.log(name, width);
      }
    })();`;
  const { stdout, stderr } = spawnSync(process.execPath, ["--input-type=commonjs", "--eval", program], {
    encoding: "utf8",
  });
  expect(stderr).toBe("");
  expect(stdout).toBe(names.map((name) => `${name} 8\n`).join(""));
});
