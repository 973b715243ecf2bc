/** What scipy and scikit-learn make of the inputs of make_audit_golden.py. */
import { readFileSync } from "node:fs";
import { fixture } from "./repository.js";

export const golden = JSON.parse(readFileSync(fixture("audit.json"), "utf8")) as {
  readonly hashes: {
    readonly pictures: readonly {
      readonly height: number;
      readonly width: number;
      readonly values: readonly number[];
      readonly means: readonly number[];
      readonly difference: string;
      readonly cosine: string;
      readonly turned: string;
      readonly mirrored: string;
    }[];
    readonly correlations: readonly number[];
  };
  readonly probe: {
    readonly labels: readonly number[];
    readonly folds: readonly number[];
    readonly features: readonly (readonly number[])[];
    readonly scores: readonly (readonly number[])[];
    readonly areas: readonly number[];
  };
  readonly clustered: {
    readonly clusters: readonly number[];
    readonly positive: readonly number[];
    readonly scores: readonly number[];
    readonly area: number;
    readonly variance: number;
  };
  readonly folds: {
    readonly groups: readonly number[];
    readonly labels: readonly number[];
    readonly counts: readonly (readonly number[])[];
  };
};
