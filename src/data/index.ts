/**
 * The namespace `data`: data sets, decoding, augmentation and batches.
 *
 * @module
 */

export { DataError } from "../errors.js";
export { type Augmentation, augmentations } from "./augmentation.js";
export type { Batch, BatchImages } from "./batch.js";
export {
  countLabels,
  type Dataset,
  derive,
  describeDataset,
  type LabelledImages,
  type MultiLabelDataset,
  type Sample,
  subset,
} from "./dataset.js";
export { imageExtensions, type Pixels, type Spacing } from "./decoding/decoder.js";
export type { FrameChoice, SingleChoice } from "./decoding/frame-choice.js";
export { loadImage, type ReadImageOptions, type WarningOptions } from "./decoding/sample.js";
export { type DemoOptions, demoClasses, writeDemoDataset } from "./demo/demo.js";
export type { TaskName } from "./labels.js";
export { Loader, type LoaderOptions } from "./loader.js";
export { definePreprocessing, type Preprocessing, type Resize, type Slices } from "./preprocessing.js";
export { fromArrays, type ImageArrays } from "./sources/arrays.js";
export { type Download, type DownloadOptions, download } from "./sources/medmnist/download.js";
export {
  type MedMnistName,
  type MedMnistSet,
  type MedMnistSize,
  medMnist,
} from "./sources/medmnist/table.js";
export { type OpenDatasetOptions, type OpenedDataset, openDataset } from "./sources/open.js";
export { type SplitName, splitNames } from "./splitting/split-names.js";
export type { SplitOptions } from "./splitting/stratified.js";
