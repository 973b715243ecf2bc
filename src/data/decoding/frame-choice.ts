/** Which pictures of a file that has several are taken, where nobody has named one by its number. */
import { DataError } from "../../errors.js";
import type { Kind } from "../../settings/kind.js";
import type { ImageFile } from "./sample.js";

/** One picture: of a volume the slice in the middle and of other files the first, or in any case the first or the middle. */
export type SingleChoice = "auto" | "first" | "middle";

/** One picture, all, or every so many, from the first on. */
export type FrameChoice = SingleChoice | "all" | `every:${number}`;

const every = /^every:([1-9]\d{0,8})$/;

/** What `frames` may be. */
export const frameChoices: Kind<FrameChoice> = {
  range: "auto, first, middle, all, or every: and a number, such as every:5",
  holds: (value) =>
    typeof value === "string" && (["auto", "first", "middle", "all"].includes(value) || every.test(value)),
  parse: (text) => text as FrameChoice,
};

type Countable = Pick<ImageFile, "count" | "middle" | "isVolume">;

/** No scanner makes as many pictures in one file. */
const most = 2 ** 20;

/** Whether a choice takes one picture of each file, however many that has. */
export const isSingle = (choice: FrameChoice): choice is SingleChoice =>
  choice === "auto" || choice === "first" || choice === "middle";

/**
 * The one picture that a choice takes, from 0.
 *
 * @throws DataError if the file cannot be read
 */
export async function singleFrame(image: Countable, choice: SingleChoice): Promise<number> {
  if (choice === "first" || (await image.count()) === 1) return 0;
  return choice === "middle" || (await image.isVolume()) ? image.middle() : 0;
}

/**
 * Numbers of the pictures, from 0.
 *
 * @throws DataError if those would be more than a file can mean, and if it cannot be read
 */
export async function chosenFrames(image: Countable, choice: FrameChoice): Promise<readonly number[]> {
  if (isSingle(choice)) return [await singleFrame(image, choice)];
  const count = await image.count();
  const step = choice === "all" ? 1 : Number(every.exec(choice)?.[1] ?? 1);
  const taken = Math.ceil(count / step);
  if (taken > most)
    throw new DataError(`it says that it has ${count} pictures, and at most ${most} are taken of one file`);
  return Array.from({ length: taken }, (_, at) => at * step);
}
