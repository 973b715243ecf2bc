/** What is heavy is loaded by those who use it: a program that only computes starts without decoders and parsers. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, describe, expect, it } from "vitest";
import { packageRoot } from "../../src/native/package-root.js";
import { fixture } from "../support/repository.js";
import { png } from "../support/temporary-folder.js";

const folder = mkdtempSync(join(tmpdir(), "medmamba-lazy-"));
afterAll(() => rmSync(folder, { recursive: true }));

const main = pathToFileURL(join(packageRoot, "dist/index.js")).href;
const hooks = `
  import { appendFileSync } from "node:fs";
  export async function load(url, context, next) {
    appendFileSync(process.env.LOADED, url + "\\n");
    return next(url, context);
  }`;

/** Packages, other than this one, whose modules a program loads. */
function packagesLoadedBy(program: string): Set<string> {
  const loaded = join(folder, "loaded.txt");
  writeFileSync(loaded, "");
  const register = `import { register } from "node:module"; register(${JSON.stringify(`data:text/javascript,${encodeURIComponent(hooks)}`)});`;
  const { status, stderr } = spawnSync(
    process.execPath,
    [
      "--import",
      `data:text/javascript,${encodeURIComponent(register)}`,
      "--input-type=module",
      "--eval",
      program,
    ],
    { encoding: "utf8", env: { ...process.env, LOADED: loaded } },
  );
  expect(stderr).toBe("");
  expect(status).toBe(0);
  const urls = readFileSync(loaded, "utf8");
  expect(urls).toContain(`${packageRoot}/dist/`);
  return new Set(
    [...urls.matchAll(/node_modules\/((?:@[^/]+\/)?[^/\n]+)/g)].map(([, name]) => name as string),
  );
}

describe("import of medmamba", () => {
  it("loads no decoder and no parser of files", () => {
    const loaded = packagesLoadedBy(`await import(${JSON.stringify(main)})`);
    for (const heavy of ["sharp", "yauzl", "csv-parse", "dicom-parser"]) expect(loaded).not.toContain(heavy);
  });

  it("nor do a model and a network's input of one's own", () => {
    const loaded = packagesLoadedBy(`
      const { data, MedMamba, toInput } = await import(${JSON.stringify(main)});
      const images = new Uint8Array(2 * 32 * 32);
      const set = data.fromArrays({ images, shape: [2, 32, 32], labels: [0, 1] });
      const model = new MedMamba({ depths: [1], dims: [8], inChannels: 1, numClasses: 2 }).eval();
      for await (const batch of new data.Loader(set, { batchSize: 2 }))
        await model.predict(toInput(batch, set.preprocessing)).data();`);
    for (const heavy of ["sharp", "yauzl", "csv-parse", "dicom-parser"]) expect(loaded).not.toContain(heavy);
  });

  it("and each of them is loaded by what needs it alone", async () => {
    writeFileSync(join(folder, "a.png"), await png(9));
    writeFileSync(join(folder, "list.csv"), "path,label,split\na.png,x,train\n./b.png,y,train\n");
    const image = packagesLoadedBy(`
      const { data } = await import(${JSON.stringify(main)});
      await data.loadImage(${JSON.stringify(join(folder, "a.png"))});`);
    expect(image).toContain("sharp");
    expect(image).not.toContain("yauzl");
    expect(image).not.toContain("dicom-parser");
    const dicom = (name: string) =>
      packagesLoadedBy(`
        const { data } = await import(${JSON.stringify(main)});
        await data.loadImage(${JSON.stringify(fixture("dicom"))} + "/${name}.dcm");`);
    const isCodec = (name: string) => name.startsWith("@cornerstonejs/");
    expect(dicom("implicit-12")).toContain("dicom-parser");
    expect([...dicom("implicit-12")].filter(isCodec)).toEqual([]);
    expect([...dicom("jpeg-2000-12")].filter(isCodec)).toEqual(["@cornerstonejs/codec-openjpeg"]);
    const manifest = packagesLoadedBy(`
      const { data } = await import(${JSON.stringify(main)});
      await data.openDataset(${JSON.stringify(join(folder, "list.csv"))}).catch(() => {});`);
    expect(manifest).toContain("csv-parse");
    expect(manifest).not.toContain("yauzl");
  });
});
