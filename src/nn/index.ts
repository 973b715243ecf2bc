/**
 * The namespace `nn`: layers with PyTorch's parameter names, and `Module`, which networks of your own extend.
 *
 * @module
 */

export { StateDictError, type StateDictReport } from "../errors.js";
export * from "./layers.js";
export { Module, type StateDict } from "./module.js";
export { PatchEmbed, PatchMerging } from "./patches.js";
export { SSConvSSM, type SSConvSSMOptions } from "./ss-conv-ssm.js";
export { SS2D } from "./ss2d.js";
