/** MedMNIST by name: the table of its sets, files that are recognised, and getting one. */
import { writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { zipSync } from "fflate";
import { describe, expect, it } from "vitest";
import { readArchive } from "../../../../src/data/sources/archive.js";
import { howToGet, medMnistOf } from "../../../../src/data/sources/medmnist/files.js";
import { medMnist, medMnistNames } from "../../../../src/data/sources/medmnist/table.js";
import { ArgumentError, data } from "../../../../src/index.js";
import { failure } from "../../../support/failure.js";
import { npy } from "../../../support/npy.js";
import { message, root, write } from "../../../support/temporary-folder.js";

const everything = { classes: undefined, split: undefined, signal: undefined };

/** An archive of one image of 4 x 4 for each row of labels, the same in every split. */
function archive(rows: readonly (readonly number[])[]): Uint8Array {
  const labels = npy("|u1", [rows.length, rows[0]?.length ?? 0], Uint8Array.from(rows.flat()));
  const images = npy("|u1", [rows.length, 4, 4], new Uint8Array(rows.length * 16));
  const arrays = ["train", "val", "test"].flatMap((split) => [
    [`${split}_images.npy`, images],
    [`${split}_labels.npy`, labels],
  ]);
  return zipSync(Object.fromEntries(arrays));
}

const numbers = (count: number) => Array.from({ length: count }, (_, i) => [i]);

describe("the table of MedMNIST", () => {
  it("has the twelve two-dimensional sets as they were published", () => {
    // Numbers of images and labels as table 2 of the publication has them (doi 10.1038/s41597-022-01721-8).
    const printed = {
      pathmnist: [9, 107180],
      chestmnist: [14, 112120],
      dermamnist: [7, 10015],
      octmnist: [4, 109309],
      pneumoniamnist: [2, 5856],
      retinamnist: [5, 1600],
      breastmnist: [2, 780],
      bloodmnist: [8, 17092],
      tissuemnist: [8, 236386],
      organamnist: [11, 58830],
      organcmnist: [11, 23583],
      organsmnist: [11, 25211],
    };
    const own = Object.entries(medMnist).map(([name, { classes, images }]) => [
      name,
      [classes.length, images.train + images.val + images.test],
    ]);
    expect(Object.fromEntries(own)).toEqual(printed);
    const sums = Object.values(medMnist).flatMap(({ md5 }) => Object.values(md5));
    expect(new Set(sums).size).toBe(48);
    expect(sums.every((sum) => /^[0-9a-f]{32}$/.test(sum))).toBe(true);
    for (const { classes } of Object.values(medMnist)) {
      expect(new Set(classes).size).toBe(classes.length);
      expect(classes.join()).not.toMatch(/[^a-z0-9 ,-]/);
    }
  });

  it("knows a file by its name", () => {
    expect(medMnistOf("data/PneumoniaMNIST_64.npz")).toMatchObject({ name: "pneumoniamnist", size: 64 });
    expect(medMnistOf("breastmnist")).toMatchObject({ name: "breastmnist", size: 28 });
    for (const name of [
      "breastmnist_32.npz",
      "mnist.npz",
      "constructor",
      "breastmnist.csv",
      "my-breastmnist.npz",
    ])
      expect(medMnistOf(name)).toBeUndefined();
    expect(howToGet("data/organsmnist_224.npz")).toBe(
      "`medmamba download organsmnist --size 224` gets it as organsmnist_224.npz",
    );
    expect(howToGet("scans")).toBeUndefined();
  });
});

describe("an archive of MedMNIST", () => {
  it("has its classes' names where labels fit, and numbers elsewhere", async () => {
    const classesOf = async (name: string, rows: number[][]) =>
      (await readArchive(await write(name, archive(rows)), everything)).classes;
    expect(await classesOf("pneumoniamnist.npz", numbers(2))).toEqual(["normal", "pneumonia"]);
    expect(await classesOf("pneumoniamnist_224.npz", numbers(2))).toEqual(["normal", "pneumonia"]);
    expect(await classesOf("pneumoniamnist.npz", numbers(3))).toEqual(["0", "1", "2"]);
    expect(await classesOf("lungs.npz", numbers(2))).toEqual(["0", "1"]);
    for (const name of medMnistNames.filter((name) => name !== "chestmnist")) {
      const { classes } = medMnist[name];
      expect(await classesOf(`${name}.npz`, numbers(classes.length))).toEqual(classes);
    }
    const path = await write("bloodmnist.npz", archive(numbers(8)));
    const wanted = Array.from({ length: 8 }, (_, i) => `cell ${i}`);
    expect((await readArchive(path, { ...everything, classes: wanted })).classes).toEqual(wanted);
  });

  it("of grades has them in order", async () => {
    const path = await write("retinamnist.npz", archive(numbers(5)));
    expect((await data.openDataset(path, { preprocessing: { imageSize: 4 } })).train.task).toBe("ordinal");
  });

  it("of several labels an image has a 0 or 1 for each", async () => {
    const row = (...present: number[]) => Array.from({ length: 14 }, (_, i) => (present.includes(i) ? 1 : 0));
    const path = await write("chestmnist.npz", archive([row(0, 13), row(), row(4)]));
    const { classes, task, arrays } = await readArchive(path, everything);
    expect(task).toBe("multi-label");
    expect(classes).toEqual(medMnist.chestmnist.classes);
    expect([...(arrays.train?.labels ?? [])]).toEqual([row(0, 13), row(), row(4)].flat());
    const three = await readArchive(await write("own.npz", archive([[0, 1, 1]])), everything);
    expect([three.task, three.classes]).toEqual(["multi-label", ["0", "1", "2"]]);
    const other = readArchive(path, { ...everything, classes: ["a", "b"] });
    expect(await message(other)).toMatch(/has 14 labels an image, and 2 classes are expected/);
    const odd = readArchive(await write("odd.npz", archive([[0, 2, 1]])), everything);
    expect(await message(odd)).toMatch(
      /train_labels holds 2 for image 0; each of the 3 labels of an image is 0 or 1/,
    );
  });

  it("that is not there is said how to get, and not got", async () => {
    const path = join(root, "octmnist_64.npz");
    expect(await message(data.openDataset(path))).toBe(
      "/octmnist_64.npz does not exist; `medmamba download octmnist --size 64` gets it as octmnist_64.npz.",
    );
  });
});

describe("download", () => {
  it("names the set or size that was meant", async () => {
    const wrong = (name: string, options: object = {}) =>
      failure(ArgumentError, data.download(name, options));
    expect(await wrong("PneumoniaMNST")).toMatch(
      /no set "PneumoniaMNST" in MedMNIST; did you mean pneumoniamnist\?/,
    );
    expect(await wrong("lungs")).toMatch(/choose from pathmnist, chestmnist/);
    expect(await wrong("toString")).toMatch(/no set "toString"/);
    expect(await wrong("pathmnist", { size: 32 })).toMatch(/size 32 is not one of 28, 64, 128, 224/);
    expect(await wrong("pathmnist", { from: "file:///etc" })).toMatch(/"file:\/\/\/etc" is no address/);
    expect(await wrong("pathmnist", { folder: "x" })).toMatch(/folder/);
  });

  it("says where a file is public that cannot be had or is another", async () => {
    const asked: (string | undefined)[] = [];
    const server = createServer(({ url }, response) => {
      asked.push(url);
      response.end("something else");
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const from = `http://127.0.0.1:${(server.address() as AddressInfo).port}/mirror`;
    const directory = join(root, "new", "folder");
    const get = () => message(data.download("breastmnist", { size: 64, directory, from }));
    const publicly =
      "It is public at https://zenodo.org/records/10519652/files/breastmnist_64.npz?download=1: where that cannot be reached, " +
      "bring it from elsewhere and put it at /new/folder/breastmnist_64.npz.";
    expect(await get()).toBe(
      "breastmnist_64.npz could not be downloaded: its MD5 is 6c7ba9c5a141421e1c03cb9807c97c74 and should be " +
        `${medMnist.breastmnist.md5[64]}. ${publicly}`,
    );
    expect(asked).toEqual(["/mirror/breastmnist_64.npz"]);
    server.close();
    server.closeAllConnections();
    expect(await get()).toMatch(
      /could not be downloaded: connect ECONNREFUSED [^ ]+\. It is public at https:/,
    );
    await writeFile(join(directory, "breastmnist_64.npz"), "mine");
    expect(await get()).toMatch(/is there, but not as it is published \(its MD5 is not 742edef2/);
  });
});
