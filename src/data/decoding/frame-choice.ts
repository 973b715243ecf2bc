/** Which pictures of a file that has several are taken, where nobody has named one by its number. */
import { DataError } from "../../errors.js";
import type { Kind } from "../../settings/kind.js";
import type { ImageFile } from "./sample.js";

/** The first, the one in the middle, all, or every so many, from the first on. */
export type FrameChoice = "first" | "middle" | "all" | `every:${number}`;

const every = /^every:([1-9]\d{0,8})$/;

/** What `frames` may be. */
export const frameChoices: Kind<FrameChoice> = {
  range: "first, middle, all, or every: and a number, such as every:5",
  holds: (value) =>
    typeof value === "string" && (["first", "middle", "all"].includes(value) || every.test(value)),
  parse: (text) => text as FrameChoice,
};

/** No scanner makes as many pictures in one file. */
const most = 2 ** 20;

/** Whether a choice takes one picture of each file, however many that has. */
export const isSingle = (choice: FrameChoice): choice is "first" | "middle" =>
  choice === "first" || choice === "middle";

/**
 * Numbers of the pictures, from 0.
 *
 * @throws DataError if those would be more than a file can mean, and if it cannot be read
 */
export async function chosenFrames(
  image: Pick<ImageFile, "count" | "middle">,
  choice: FrameChoice,
): Promise<readonly number[]> {
  if (choice === "first") return [0];
  if (choice === "middle") return [await image.middle()];
  const count = await image.count();
  const step = choice === "all" ? 1 : Number(every.exec(choice)?.[1] ?? 1);
  const taken = Math.ceil(count / step);
  if (taken > most)
    throw new DataError(`it says that it has ${count} pictures, and at most ${most} are taken of one file`);
  return Array.from({ length: taken }, (_, at) => at * step);
}
