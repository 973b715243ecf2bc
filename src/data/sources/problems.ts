/** What is wrong with the lines of a table: all of it, so that a table is mended in one go and not line by line. */
import { DataError, type LineProblem } from "../../errors.js";

const named = 20;

/** One line that is wrong; its reason is the end of a sentence. */
interface Found extends LineProblem {
  /** A class that is not one of those expected. */
  readonly label?: string;
}

export function lineError(file: string, line: number, reason: string): DataError {
  return new DataError(`${file} line ${line}: ${reason}.`, { file, line, reason });
}

/** Gathers what is wrong with a table. */
export class LineProblems {
  readonly #file: string;
  readonly #found: Found[] = [];

  constructor(file: string) {
    this.#file = file;
  }

  add(line: number, reason: string, label?: string): void {
    this.#found.push({ line, reason, ...(label !== undefined && { label }) });
  }

  /**
   * @param advice  a sentence for the end, about unknown labels where there are any
   * @throws DataError naming the lines, up to 20, if any is wrong; its fields are those of the first
   */
  expectNone(advice = ""): void {
    const problems = this.#found.sort((a, b) => a.line - b.line);
    const [first] = problems;
    if (!first) return;
    const file = this.#file;
    const { line, reason, label } = first;
    const sentence = problems.some((problem) => problem.label !== undefined) && advice ? ` ${advice}` : "";
    if (problems.length === 1)
      throw new DataError(`${file} line ${line}: ${reason}.${sentence}`, { file, line, label, reason });
    const lines = problems.slice(0, named).map((problem) => `  line ${problem.line}: ${problem.reason}`);
    if (problems.length > named) lines.push(`  and ${problems.length - named} more`);
    const all = [`${problems.length} lines are wrong:`, ...lines].join("\n");
    const message = `${file}: ${all}${sentence && `\n ${sentence}`}`;
    throw new DataError(message, { file, line, label, reason: all, problems });
  }
}
