/** `scans\*.dcm`, which Windows' shells leave to the program. */
import { join } from "node:path";
import { beforeAll, expect, it } from "vitest";
import { withoutWildcards } from "../../src/cli/console/wildcards.js";
import { root, write } from "../support/temporary-folder.js";

const at = (name: string) => join(root, "scans", name);

beforeAll(async () => {
  for (const name of ["b.DCM", "a.dcm", "a.dcm.txt", "c(1).png", "c1.png"]) await write(`scans/${name}`, "");
});

it.each([
  ["*.dcm", ["a.dcm", "b.DCM"]],
  ["?.dcm", ["a.dcm", "b.DCM"]],
  ["c(*).png", ["c(1).png"]],
  ["*", ["a.dcm", "a.dcm.txt", "b.DCM", "c(1).png", "c1.png"]],
  ["a.dcm", ["a.dcm"]],
  ["*.tif", ["*.tif"]],
])("%s means %j on Windows", async (pattern, names) => {
  expect(await withoutWildcards([at(pattern), "other.png"], "win32")).toEqual([
    ...names.map(at),
    "other.png",
  ]);
});

it("is a name elsewhere, and where there is no such folder", async () => {
  expect(await withoutWildcards([at("*.dcm")], "linux")).toEqual([at("*.dcm")]);
  expect(await withoutWildcards([join(root, "none/*.dcm")], "win32")).toEqual([join(root, "none/*.dcm")]);
});
