/** Which files of a folder are images: one rule for training and for prediction, whatever lies and leads around. */
import { mkdir, symlink } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { openDataset } from "../../../src/data/index.js";
import { filesBelow, foldersIn, isImageFile } from "../../../src/data/sources/walk.js";
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
