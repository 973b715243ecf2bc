/** Every operation's cases. */
import { elementwiseCases } from "./elementwise.js";
import { lossCases } from "./loss.js";
import { normalizationCases } from "./normalization.js";
import type { OperationCase } from "./operation-case.js";
import { productCases } from "./products.js";
import { scanCases } from "./scan.js";
import { shapeCases } from "./shape.js";

export type { OperationCase } from "./operation-case.js";

export const operationCases: readonly OperationCase[] = [
  ...elementwiseCases,
  ...shapeCases,
  ...productCases,
  ...normalizationCases,
  ...lossCases,
  ...scanCases,
];
