/** Planted copies of every kind are found in generated pictures, and nothing else. */
import sharp, { type Sharp } from "sharp";
import { beforeAll, describe, expect, it } from "vitest";
import {
  type Look,
  lookOf,
  type NearPair,
  nearDuplicates,
} from "../../../src/data/splitting/near-duplicates.js";
import { thumbnailOf } from "../../../src/data/splitting/perceptual-hash.js";
import { RandomStream } from "../../../src/tensor/random.js";

const side = 96;
const count = 40;

/** Smooth blobs over a bright middle, as radiographs of one kind have it in common. */
function draw(seed: number): Uint8Array {
  const random = new RandomStream(seed);
  const blobs = Array.from({ length: 25 }, () => ({
    x: random.uniform() * side,
    y: random.uniform() * side,
    radius: 3 + 12 * random.uniform(),
    height: 90 * (random.uniform() - 0.5),
  }));
  return Uint8Array.from({ length: side * side }, (_, at) => {
    const [y, x] = [Math.floor(at / side), at % side];
    const middle = 120 * Math.exp(-((x - side / 2) ** 2 + (y - side / 2) ** 2) / (2 * 30 ** 2));
    const detail = blobs.reduce(
      (sum, blob) =>
        sum + blob.height * Math.exp(-((x - blob.x) ** 2 + (y - blob.y) ** 2) / (2 * blob.radius ** 2)),
      0,
    );
    return Math.min(Math.max(60 + middle + detail, 0), 255);
  });
}

const image = (seed: number): Sharp =>
  sharp(draw(seed), { raw: { width: side, height: side, channels: 1 } }).toColourspace("b-w");

async function look(picture: Sharp): Promise<Look> {
  const { data, info } = await picture.toColourspace("b-w").raw().toBuffer({ resolveWithObject: true });
  return lookOf(thumbnailOf(data, info));
}

const planted: Readonly<Record<string, (picture: Sharp) => Promise<Sharp>>> = {
  "saved as JPEG of quality 60": async (picture) => sharp(await picture.jpeg({ quality: 60 }).toBuffer()),
  "saved as JPEG of quality 20": async (picture) => sharp(await picture.jpeg({ quality: 20 }).toBuffer()),
  halved: async (picture) => sharp(await picture.resize(48, 48).png().toBuffer()),
  doubled: async (picture) => sharp(await picture.resize(192, 192).png().toBuffer()),
  "turned by 90 degrees": async (picture) => sharp(await picture.rotate(90).png().toBuffer()),
  "turned by 180 degrees": async (picture) => sharp(await picture.rotate(180).png().toBuffer()),
  mirrored: async (picture) => sharp(await picture.flop().png().toBuffer()),
  "mirrored and turned": async (picture) => sharp(await picture.flip().rotate(90).png().toBuffer()),
  darkened: async (picture) => sharp(await picture.linear(0.6, 0).png().toBuffer()),
  "of more contrast": async (picture) => sharp(await picture.linear(1.3, -30).png().toBuffer()),
  "cut by a pixel": async (picture) =>
    sharp(
      await picture
        .extract({ left: 1, top: 1, width: side - 2, height: side - 2 })
        .png()
        .toBuffer(),
    ),
};

describe("copies", () => {
  const kinds = Object.keys(planted);
  let pairs: NearPair[];

  beforeAll(async () => {
    const looks = [];
    for (let seed = 0; seed < count; ++seed) looks.push(await look(image(seed)));
    for (const [at, make] of Object.values(planted).entries()) looks.push(await look(await make(image(at))));
    pairs = await nearDuplicates(looks);
  });

  it.each(kinds)("%s are found", (kind) => {
    const at = kinds.indexOf(kind);
    expect(pairs.some(({ first, second }) => first === at && second === count + at)).toBe(true);
  });

  it("are all that is found", () => {
    expect(pairs.map(({ first, second }) => second - first)).toEqual(pairs.map(() => count));
  });

  it("tell how they are turned", () => {
    const symmetryOf = (kind: string) =>
      pairs.find(({ second }) => second === count + kinds.indexOf(kind))?.symmetry;
    expect(symmetryOf("halved")).toBe(0);
    expect(symmetryOf("turned by 180 degrees")).toBe(2);
    expect(symmetryOf("mirrored")).toBe(4);
    expect([1, 3]).toContain(symmetryOf("turned by 90 degrees"));
  });
});

it("what is not to be compared is passed over, and the work can be stopped", async () => {
  const own = await look(image(0));
  expect(await nearDuplicates([own, undefined, own])).toMatchObject([{ first: 0, second: 2 }]);
  const signal = AbortSignal.abort(new Error("enough"));
  await expect(nearDuplicates([own, own], { signal })).rejects.toThrow("enough");
});
