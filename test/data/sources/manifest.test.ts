/** What tables say of images: labels of all kinds, groups, attributes, frames; and all that is wrong with them at once. */
import { describe, expect, it } from "vitest";
import { type OpenDatasetOptions, openDataset } from "../../../src/data/index.js";
import { pseudonym } from "../../../src/data/pseudonyms.js";
import { DataError } from "../../../src/errors.js";
import { message, png, root, write } from "../../support/temporary-folder.js";

for (let i = 0; i < 6; ++i) await write(`table/${i}.png`, await png(10 * i));
await write("table/noending", await png(200));
await write("table/only.png", await png(210));

const preprocessing = { imageSize: 8, channels: 1 } as const;
const open = async <const O extends OpenDatasetOptions>(options: O, ...lines: string[]) =>
  openDataset(await write("table/list.csv", `${lines.join("\n")}\n`), {
    preprocessing,
    split: "train",
    ...options,
  });

describe("labels", () => {
  it("are columns of 0 and 1 for the task multi-label, other columns attributes", async () => {
    const { train, classes } = await open(
      { task: "multi-label" },
      "path,split,Effusion,age,nodule,site",
      "0.png,train,1,63,0,A",
      "1.png,train,1.0,,1,B",
      "2.png,train,0,41,0.0,",
    );
    expect(classes).toEqual(["Effusion", "nodule"]);
    expect(train).toMatchObject({
      task: "multi-label",
      labels: Int32Array.of(1, 0, 1, 1, 0, 0),
      attributes: { age: ["63", undefined, "41"], site: ["A", "B", undefined] },
    });
  });

  it("are the columns that are named, or a checkpoint's classes in their order", async () => {
    const lines = ["path,split,smoker,b,a", "0.png,train,1,1,0", "1.png,train,,0,1"];
    const named = await open({ task: "multi-label", labels: ["a", "b"] }, ...lines);
    expect(named.train).toMatchObject({
      classes: ["a", "b"],
      labels: Int32Array.of(0, 1, 1, 0),
      attributes: { smoker: ["1", undefined] },
    });
    const { train } = await open({ task: "multi-label", classes: ["b", "a"] }, ...lines);
    expect(train).toMatchObject({ classes: ["b", "a"], labels: Int32Array.of(1, 0, 0, 1) });
    expect(await message(open({ task: "multi-label" }, ...lines))).toMatch(
      /^\/table\/list\.csv line 3: smoker is empty, where 0 or 1 is expected .*name the columns that are by the option labels/,
    );
    expect(await message(open({ task: "multi-label", classes: ["b", "c"] }, ...lines))).toBe(
      "/table/list.csv: it has no column c of 0 and 1; it has smoker, b, a.",
    );
  });

  it("are one of several columns where classes exclude each other", async () => {
    const lines = ["path,split,MEL,NV", "0.png,train,1,0", "1.png,train,0,1"];
    const { train } = await open({ task: "multi-class" }, ...lines);
    expect(train).toMatchObject({ classes: ["MEL", "NV"], labels: Int32Array.of(0, 1) });
    const judged = await open({ classes: ["NV", "MEL"] }, ...lines);
    expect(judged.train).toMatchObject({ classes: ["NV", "MEL"], labels: Int32Array.of(1, 0) });
    expect(await message(open({ task: "binary" }, ...lines, "2.png,train,1,1", "3.png,train,0,0"))).toMatch(
      /2 lines are wrong:\n {2}line 4: more than one of MEL, NV is 1.*\n {2}line 5: none of MEL, NV is 1/,
    );
    expect(await message(open({}, ...lines))).toMatch(
      /say which task they are \(--task\): multi-label, or multi-class/,
    );
    expect(await message(open({ task: "multi-label" }, "path,label", "0.png,a"))).toMatch(
      /this table has a column label/,
    );
    expect(await message(open({ task: "binary" }, "path,age", "0.png,63"))).toMatch(
      /no column has only 0 and 1 in it, for labels \(there are age\)/,
    );
  });

  it("may be numbers, and grades in order", async () => {
    const { train } = await open(
      { task: "ordinal" },
      "path,split,label",
      "0.png,train,10",
      "1.png,train,2",
      "2.png,train,1",
    );
    expect(train).toMatchObject({
      task: "ordinal",
      classes: ["1", "2", "10"],
      labels: Int32Array.of(2, 1, 0),
    });
  });
});

describe("what identifies a patient", () => {
  const lines = [
    "path,label,split,PatientID,Lesion,PatientName,study_date,patient age,site name,birth date",
    "0.png,a,train,77,L1,Doe^Jane,20240203,63,North,19600101",
    "1.png,b,train,77,L2,Doe^Jane,20231231,63,North,19600101",
    "2.png,b,train,78,L2,Roe^Rick,20240203,41,South,19800101",
  ];

  it("is kept as a pseudonym, dates as their order, the rest as it is", async () => {
    const warnings: string[] = [];
    const { train } = await open({ groups: "lesion", onWarning: (text) => warnings.push(text) }, ...lines);
    const [jane, rick] = [pseudonym("Doe^Jane"), pseudonym("Roe^Rick")];
    expect(train.patients).toEqual([pseudonym("77"), pseudonym("77"), pseudonym("78")]);
    expect(train.groups).toEqual([pseudonym("L1"), pseudonym("L2"), pseudonym("L2")]);
    expect(train.attributes).toEqual({
      Lesion: ["L1", "L2", "L2"],
      PatientName: [jane, jane, rick],
      study_date: ["2", "1", "2"],
      "patient age": ["63", "63", "41"],
      "site name": ["North", "North", "South"],
      "birth date": [pseudonym("19600101"), pseudonym("19600101"), pseudonym("19800101")],
    });
    expect(JSON.stringify({ ...train, sample: 0 })).not.toMatch(/Doe|Roe|1960/);
    expect(warnings).toEqual([]);
    await open({ onWarning: (text) => warnings.push(text) }, ...lines);
    expect(warnings).toEqual([`${root}/table/list.csv: the column PatientID is taken for the patient.`]);
  });

  it("is looked for in a column that is there", async () => {
    await expect(open({ groups: "study" }, ...lines)).rejects.toMatchObject({
      column: "study",
      message: expect.stringMatching(
        /it has no column study to keep images together by; it has path, label,/,
      ),
    });
  });
});

describe("lines that are wrong", () => {
  it("are all said, up to 20", async () => {
    const lines = Array.from({ length: 24 }, (_, i) => `${i}.png,a,sometimes,1`);
    const error = await open({}, "path,label,split,weight", ...lines, "5.png,b,train,-1").catch(
      (reason: unknown) => reason,
    );
    expect(error).toBeInstanceOf(DataError);
    const { message: text, line, problems } = error as DataError;
    expect(line).toBe(2);
    expect(problems).toHaveLength(25);
    expect(text.split("\n")).toHaveLength(22);
    expect(text).toContain("25 lines are wrong:\n  line 2: split");
    expect(text.split("\n").at(-1)).toBe("  and 5 more");
  });

  it("may be wrong in several ways", async () => {
    const text = await message(
      open(
        { classes: ["a", "b"] },
        "path,label,split,frame",
        "0.png,a,train,x",
        "1.png,a",
        ",a,train,",
        "2.png,c,train,",
        "3.png,a,train,0",
        "3.png,a,train,0",
      ),
    );
    expect(text).toBe(
      [
        "/table/list.csv: 5 lines are wrong:",
        '  line 2: frame "x" is not a whole number from 0 up',
        "  line 3: it has more or fewer columns than the first line; a separator within a value needs quotes around it",
        "  line 4: the path is empty",
        '  line 5: label "c" is not one of a, b',
        "  line 7: 3.png is on line 6 already",
      ].join("\n"),
    );
  });

  it("may be the titles", async () => {
    expect(await message(open({}, "path,label,Label", "0.png,a,b"))).toBe(
      "/table/list.csv line 1: two columns are called Label.",
    );
    expect(await message(open({}, "path,label,age,age", "0.png,a,1,2"))).toBe(
      "/table/list.csv line 1: two columns are called age.",
    );
  });
});

describe("files", () => {
  it("may have no ending, in their names or in the table", async () => {
    const { train } = await open({}, "path,label,split", "noending,a,train", "only,b,train");
    expect([(await train.sample(0)).data[0], (await train.sample(1)).data[0]]).toEqual([200, 210]);
    expect(train.name(1)).toBe(`${root}/table/only.png`);
  });
});

describe("a folder", () => {
  it("with a table of its images is what the table says", async () => {
    await write("ward/IM0001", await png(10));
    await write("ward/b/IM0002", await png(20));
    await write("ward/c/IM0003", await png(30));
    await write("ward/notes.csv", "name,value\nx,1\n");
    const folder = `${root}/ward`;
    expect(await message(openDataset(folder, { preprocessing }))).toMatch(/^\/ward\/b has no images/);
    const lines = ["path,label,split", "IM0001,x,train", "b/IM0002,y,train", "c/IM0003,y,test"];
    await write("ward/index.csv", lines.join("\n"));
    const warnings: string[] = [];
    const opened = await openDataset(folder, { preprocessing, onWarning: (text) => warnings.push(text) });
    expect(opened.train).toMatchObject({ classes: ["x", "y"], labels: Int32Array.of(0, 1) });
    expect(warnings[0]).toBe(`${folder}: its images are those of the table index.csv in it.`);
    await write("ward/other.csv", lines.join("\n"));
    expect(await message(openDataset(folder))).toBe(
      "/ward has several tables of images, index.csv and other.csv: name the one to take.",
    );
  });
});
