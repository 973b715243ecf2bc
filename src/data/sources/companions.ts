/**
 * Pictures that were made of other pictures and lie beside them: masks, contours, thumbnails. Whoever learned or predicted
 * them would learn the annotation and not the image, so they are left out wherever their image is there as well.
 */
import { basename, dirname, extname, relative, sep } from "node:path";
import { imageEnding } from "../decoding/decoder.js";

const words =
  "masks?|seg|segm|segmentations?|gt|ground[ _-]?truth|labels?|annotations?|contours?|overlay|thumb|thumbnail|preview";

/** `x_mask`, `x_mask_1`, `x (mask)`, `x.seg`: the image's own name comes first. */
const behind = new RegExp(`^(.+?)[ _.-]+\\(?(?:${words})\\)?(?:[ _.-]*\\(?\\d+\\)?)?$`, "i");
const before = new RegExp(`^(?:${words})[ _.-]+(.+)$`, "i");

const folders =
  /^(?:[a-z]+[ _-])?(?:masks|segmentations?|annotations?|contours|ground[ _-]?truths?|thumbnails|thumbs)$|^mask$/i;

/** Whether a folder of this name holds masks or thumbnails of what lies elsewhere, not a class of images. */
export const isCompanionFolder = (name: string): boolean => folders.test(name);

const stem = (file: string): string => {
  const name = basename(file).toLowerCase();
  return name.slice(0, name.length - (imageEnding(name) ?? extname(name)).length);
};

/** Names of the image that a picture of this name would have been made of. */
function originals(name: string): string[] {
  return [behind, before].map((pattern) => pattern.exec(name)?.[1]).filter((found) => found !== undefined);
}

/**
 * Those of some image files that are companions of others of them: named after one in the same folder, or in a folder of
 * masks and named like one elsewhere.
 *
 * @param root  the folder that was walked; names of folders above it mean nothing
 */
export function companionsAmong(files: readonly string[], root: string): Set<string> {
  const inMaskFolder = (file: string): boolean =>
    dirname(relative(root, file)).split(sep).some(isCompanionFolder);
  const places = new Set(files.map((file) => dirname(file) + sep + stem(file)));
  const names = new Set(files.filter((file) => !inMaskFolder(file)).map(stem));
  return new Set(
    files.filter((file) => {
      const name = stem(file);
      if (inMaskFolder(file) && [name, ...originals(name)].some((original) => names.has(original)))
        return true;
      return originals(name).some((original) => places.has(dirname(file) + sep + original));
    }),
  );
}
