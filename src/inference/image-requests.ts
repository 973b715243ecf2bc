/**
 * From what was asked about to single pictures. Most sources are one picture, and are read when it is their turn; of a file of
 * which several are taken, the number has to be known first, so it is opened ahead of its turn, and stays open for them.
 */
import { readAhead } from "../data/concurrency.js";
import type { Sample } from "../data/dataset.js";
import { chosenFrames, type FrameChoice, isSingle, singleFrame } from "../data/decoding/frame-choice.js";
import {
  decodeImage,
  openImageFile,
  type ReadImageOptions,
  severalIn,
  severalOf,
  type WarningOptions,
  withImageFile,
} from "../data/decoding/sample.js";
import type { Preprocessing } from "../data/preprocessing.js";
import { DataError } from "../errors.js";
import { isUrl } from "../settings/paths.js";
import { isBytes } from "../settings/realms.js";
import type { FramedImage, ImageSource } from "./predict.js";

/** One picture that is asked about. */
export interface ImageRequest<S extends ImageSource> {
  readonly source: S;
  /** Which picture of the source, where it was named or several are taken. */
  readonly frame?: number;
  /** @throws DataError if it cannot be read */
  read(): Promise<Sample>;
}

type RequestOptions = ReadImageOptions & WarningOptions;

/** Files that are open ahead of their turn, beside the one whose turn it is. */
const openAhead = 3;

const isFramed = (source: ImageSource): source is FramedImage =>
  typeof source === "object" && source !== null && !isBytes(source) && !isUrl(source);

/** The pictures of sources, in their order. */
export function requestsOf<S extends ImageSource>(
  sources: Iterable<S> | AsyncIterable<S>,
  frames: FrameChoice,
  preprocessing: Preprocessing,
  options: RequestOptions = {},
): Iterator<ImageRequest<S>> | AsyncIterator<ImageRequest<S>> {
  const { maxPixels, onWarning } = options;
  const iterator: Iterator<S> | AsyncIterator<S> =
    Symbol.asyncIterator in sources ? sources[Symbol.asyncIterator]() : sources[Symbol.iterator]();
  if (!isSingle(frames)) return severalEach(iterator, frames, preprocessing, options);
  let index = 0;
  const request = (source: S): ImageRequest<S> => {
    const name = isUrl(source) ? source.pathname : typeof source === "string" ? source : `image ${index + 1}`;
    index += 1;
    if (isFramed(source)) return framed(source, preprocessing, options);
    const read = () =>
      withImageFile(source, preprocessing, { maxPixels }, async (image) => {
        const several = frames === "middle" ? undefined : await severalOf(image);
        if (several) {
          const isVolume = several.isVolume && frames === "auto";
          onWarning?.(`${severalIn(name, { ...several, isVolume })} --frames takes others.`);
        }
        return image.sample(await singleFrame(image, frames));
      });
    return { source, read };
  };
  // Not a generator: one that is left while it waits for a source ends only when that comes.
  return {
    next: async () => {
      const { done, value } = await iterator.next();
      return done ? { done, value: undefined } : { done: false, value: request(value) };
    },
    return: async () => {
      await iterator.return?.();
      return { done: true, value: undefined };
    },
  };
}

function framed<S extends ImageSource>(
  source: S & FramedImage,
  preprocessing: Preprocessing,
  { maxPixels }: RequestOptions,
): ImageRequest<S> {
  const { file, frame } = source;
  return { source, frame, read: () => decodeImage(file, preprocessing, { frame, maxPixels }) };
}

async function* severalEach<S extends ImageSource>(
  sources: Iterator<S> | AsyncIterator<S>,
  frames: FrameChoice,
  preprocessing: Preprocessing,
  options: RequestOptions,
): AsyncGenerator<ImageRequest<S>, void, undefined> {
  let turn: Promise<unknown> = Promise.resolve();
  const next = async (): Promise<ImageRequest<S>[] | undefined> => {
    const taking = turn.then(() => sources.next());
    turn = taking.catch(() => {});
    const { done, value } = await taking;
    return done ? undefined : picturesOf(value, frames, preprocessing, options);
  };
  try {
    for await (const requests of readAhead(next, openAhead)) yield* requests;
  } finally {
    await sources.return?.();
  }
}

/** All that are wanted of a source; where it cannot be opened, one request that says why. */
async function picturesOf<S extends ImageSource>(
  source: S,
  frames: FrameChoice,
  preprocessing: Preprocessing,
  options: RequestOptions,
): Promise<ImageRequest<S>[]> {
  if (isFramed(source)) return [framed(source, preprocessing, options)];
  try {
    const image = await openImageFile(source, preprocessing, { maxPixels: options.maxPixels });
    const count = await image.count();
    if (count === 1) return [{ source, read: () => image.sample(0) }];
    const chosen = await chosenFrames(image, frames);
    return chosen.map((frame) => ({ source, frame, read: () => image.sample(frame) }));
  } catch (error) {
    if (!(error instanceof DataError)) throw error;
    const refused = Promise.reject(error);
    refused.catch(() => {}); // It is said in its place.
    return [{ source, read: () => refused }];
  }
}
