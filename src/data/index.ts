/**
 * The namespace `data`: data sets, decoding, augmentation and batches.
 *
 * @module
 */

export { DataError } from "../errors.js";
export {
  type Augmentation,
  augmentations,
  composeAffine,
  type Drawn,
  drawAugmentation,
  type Placement,
} from "./augmentation.js";
export { cached, MemoryBudget } from "./cache.js";
export { countLabels, type Dataset, describeDataset, type Sample, subset } from "./dataset.js";
export { imageExtensions, loadImage } from "./decoding/raster.js";
export { type DemoOptions, demoClasses, writeDemoDataset } from "./demo/demo.js";
export { type Batch, Loader, type LoaderOptions } from "./loader.js";
export { type OpenDatasetOptions, type OpenedDataset, openDataset } from "./open.js";
export { definePreprocessing, normalisation, type Preprocessing, type Resize } from "./preprocessing.js";
export { fromArrays, type ImageArrays } from "./sources/arrays.js";
export { type SplitName, type SplitOptions, splitNames } from "./splitting/stratified.js";
