/**
 * How wide text will be, without a font at hand: a reader's system chooses among several. The widths, in ems, are
 * those of the widest of our fonts, so that what is reserved is enough.
 */

const narrow = /[ijlI.,:;'|!()[\]{}\s]/;
const wide = /[mwMW@%]/;
const upper = /\p{Lu}/u;
const fullWidth =
  /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe4f\uff00-\uff60]|\p{Extended_Pictographic}/u;
const combining = /\p{M}/u;

function emsOf(character: string): number {
  if (combining.test(character)) return 0;
  if (fullWidth.test(character)) return 1;
  if (narrow.test(character)) return 0.36;
  if (wide.test(character)) return 0.92;
  return upper.test(character) ? 0.7 : 0.61;
}

/** Width in px at a font size in px. */
export const textWidth = (content: string, size: number): number =>
  [...content].reduce((ems, character) => ems + emsOf(character), 0) * size;

/** The text if it fits, otherwise as much of its beginning as does, and an ellipsis. */
export function fitText(content: string, size: number, maximum: number): string {
  if (textWidth(content, size) <= maximum) return content;
  const characters = [...content];
  while (characters.length > 1 && textWidth(`${characters.join("")}…`, size) > maximum) characters.pop();
  return `${characters.join("").trimEnd()}…`;
}

/** A count with thin spaces between the thousands. */
export const grouped = (count: number): string => String(count).replace(/\B(?=(\d{3})+$)/g, "\u2009");
