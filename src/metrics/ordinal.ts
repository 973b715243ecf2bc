/** How far off predicted grades are, from a confusion matrix whose classes are in order. */

import { EvaluationError } from "../errors.js";
import { expectList } from "../settings/given.js";

/** Agreement on an ordered scale. */
export interface OrdinalAgreement {
  /** Cohen's kappa with quadratic weights: 1 less the mean squared distance by that of chance; NaN if chance has none. */
  readonly quadraticKappa: number;
  /** Mean distance between the true and the predicted grade, in grades. */
  readonly meanAbsoluteError: number;
}

/**
 * @param matrix  counts; row: true grade, column: predicted grade
 * @throws EvaluationError if the matrix is not square, or holds anything but counts
 * @see Cohen, Psychological Bulletin 70 (1968) 213
 */
export function ordinalAgreement(matrix: readonly (readonly number[])[]): OrdinalAgreement {
  expectMatrix(matrix);
  const rows = matrix.map((row) => row.reduce((total, count) => total + count, 0));
  const columns = matrix.map((_, column) => matrix.reduce((total, row) => total + row[column]!, 0));
  const count = rows.reduce((total, row) => total + row, 0);
  let [observed, byChance, distance] = [0, 0, 0];
  for (const [truth, row] of matrix.entries()) {
    for (const [grade, cell] of row.entries()) {
      observed += cell * (truth - grade) ** 2;
      byChance += (rows[truth]! * columns[grade]! * (truth - grade) ** 2) / count;
      distance += cell * Math.abs(truth - grade);
    }
  }
  return { quadraticKappa: 1 - observed / byChance, meanAbsoluteError: distance / count };
}

function expectMatrix(matrix: readonly (readonly number[])[]): void {
  expectList("ordinalAgreement", "the matrix", matrix);
  for (const row of matrix) {
    expectList("ordinalAgreement", "a row of the matrix", row);
    if (row.length !== matrix.length || !Array.from(row).every((cell) => Number.isFinite(cell) && cell >= 0))
      throw new EvaluationError("ordinalAgreement: the matrix has to be square, of counts of 0 or more.");
  }
}
