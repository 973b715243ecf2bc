/** Which files of a folder are images: one rule for training and for prediction, whatever lies and leads around. */
import { mkdir, symlink } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { openDataset } from "../../../src/data/index.js";
import { filesBelow, foldersIn, isImageFile, searchFolder } from "../../../src/data/sources/walk.js";
import { dicomFile, smallPicture } from "../../support/dicom-file.js";
import { png, root, write } from "../../support/temporary-folder.js";

const image = await png(3);
const relative = (files: readonly string[], folder: string) =>
  files.map((file) => file.slice(join(root, folder).length + 1));

describe("a walk through a folder", () => {
  it("finds files at any depth, sorted, and passes over what is hidden or litter", async () => {
    const kept = ["b/2.png", "b/10.PNG", "a.jpeg", "b/deep/er/x.tiff", "notes.txt"];
    const passedOver = [
      ".hidden.png",
      ".cache/x.png",
      "b/.git/y.png",
      "b/Thumbs.db",
      "thumbs.db",
      "__MACOSX/a.jpeg",
      "b/@eaDir/2.png/preview.png",
    ];
    for (const file of [...kept, ...passedOver]) await write(`walk/${file}`, image);
    const found = await filesBelow(join(root, "walk"));
    expect(relative(found, "walk")).toEqual([...kept].sort());
    expect(relative(found.filter(isImageFile), "walk")).toEqual(
      kept.filter((file) => file !== "notes.txt").sort(),
    );
    expect(await foldersIn(join(root, "walk"))).toEqual(["b"]);
  });

  it("follows links to folders and files, each folder once, and out of circles", async () => {
    for (const file of ["study/p2/2.png", "study/p1/1.png", "elsewhere/p3/3.png", "elsewhere/4.png"])
      await write(`linked/${file}`, image);
    const study = join(root, "linked/study");
    await symlink("../../elsewhere", join(study, "p1/archive"));
    await symlink("../../study", join(study, "p1/all"));
    await symlink(study, join(root, "linked/elsewhere/back"));
    await symlink("p2", join(study, "a-copy"));
    await symlink("../../elsewhere/4.png", join(study, "p2/four.png"));
    await symlink("nowhere.png", join(study, "lost.png"));
    await symlink("itself.png", join(study, "itself.png"));
    expect(relative(await filesBelow(study), "linked/study")).toEqual([
      "itself.png",
      "lost.png",
      "p1/1.png",
      "p1/archive/4.png",
      "p1/archive/p3/3.png",
      "p2/2.png",
      "p2/four.png",
    ]);
    // What a class lies in has the other classes.
    await symlink("../..", join(root, "linked/study/p2/up"));
    expect(relative(await filesBelow(join(study, "p2")), "linked/study/p2")).toEqual(["2.png", "four.png"]);
    await mkdir(join(root, "linked/inbox"));
    await symlink(study, join(root, "linked/inbox/study"));
    expect(await foldersIn(join(root, "linked/inbox"))).toEqual(["study"]);
  });

  it("finds DICOM by content, and leaves out what has no picture", async () => {
    const scan = dicomFile(smallPicture);
    const bare = scan.subarray(scan.indexOf("08001600", 0, "hex"));
    const report = dicomFile({}, { sopClass: "1.2.840.10008.5.1.4.1.1.88.11" });
    const files: Record<string, Uint8Array | string> = {
      IM000001: scan,
      "1.2.840.113619.2.55": scan,
      "scan.DCM": scan,
      "old.ima": bare,
      I0002: bare,
      "export.dat": scan,
      "broken.dcm": "no DICOM at all",
      "lying.txt": bare,
      DICOMDIR: dicomFile({}, { sopClass: "1.2.840.10008.1.3.10" }),
      SR000001: report,
      "report.dcm": report,
      README: "words",
      empty: "",
    };
    for (const [name, bytes] of Object.entries(files)) await write(`archive/${name}`, bytes);
    const { images, withoutPicture, others } = await searchFolder(join(root, "archive"));
    const pictures = [
      "1.2.840.113619.2.55",
      "I0002",
      "IM000001",
      "broken.dcm",
      "export.dat",
      "old.ima",
      "scan.DCM",
    ];
    expect(relative(images, "archive")).toEqual(pictures);
    expect(withoutPicture.map(({ file, kind }) => `${relative([file], "archive")}: ${kind}`)).toEqual([
      "DICOMDIR: an index of other files (DICOMDIR)",
      "SR000001: a structured report",
      "report.dcm: a structured report",
    ]);
    expect(relative(others, "archive")).toEqual(["README", "empty", "lying.txt"]);
  });

  it("opens class folders of DICOM files without endings, and says what it left out", async () => {
    for (const [name, value] of Object.entries({ a: 10, b: 200 })) {
      for (let i = 0; i < 3; ++i) {
        const pixels = Uint8Array.of(value, i, 0, 255);
        await write(`dicom/${name}/IM${i}`, dicomFile({ ...smallPicture, "7FE00010 OB": pixels }));
      }
    }
    await write("dicom/b/DICOMDIR", dicomFile({}, { sopClass: "1.2.840.10008.1.3.10" }));
    const warnings: string[] = [];
    const { train } = await openDataset(join(root, "dicom"), {
      preprocessing: { imageSize: 2, channels: 1 },
      validationFraction: 0,
      testFraction: 0,
      onWarning: (sentence) => warnings.push(sentence.replaceAll(root, "")),
    });
    expect(train.length).toBe(6);
    expect((await train.sample(0)).data).toEqual(Uint8Array.of(10, 0, 0, 255));
    expect(warnings[0]).toBe(
      "/dicom: left out 1 DICOM file that has no picture (such as DICOMDIR, an index of other files (DICOMDIR)).",
    );
  });

  it("is the way that training looks for images, too", async () => {
    for (const name of ["a", "b"]) {
      for (let i = 0; i < 3; ++i) await write(`classes/${name}/${i}.png`, image);
      await write(`classes/${name}/.trash/old.png`, image);
      await write(`classes/${name}/@eaDir/0.png/preview.png`, image);
    }
    await write("more/3.png", image);
    await symlink("../../more", join(root, "classes/b/more"));
    const { train } = await openDataset(join(root, "classes"), {
      preprocessing: { imageSize: 8, channels: 1 },
      validationFraction: 0,
      testFraction: 0,
    });
    expect(
      relative(
        Array.from(train.labels, (_, i) => train.name(i)),
        "classes",
      ),
    ).toEqual(["a/0.png", "a/1.png", "a/2.png", "b/0.png", "b/1.png", "b/2.png", "b/more/3.png"]);
  });
});
