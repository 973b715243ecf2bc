/** Tables of a report: with a caption, headers that say what they head, and a frame that scrolls by keyboard where it is narrow. */
import type { Estimate } from "../metrics/estimate.js";
import { escapeMarkup } from "./figures/svg.js";
import { decimal, rangeOf } from "./numbers.js";

/** A cell: text, or markup that is put in as it is. */
export type Cell = string | { readonly markup: string };

/** What a table is made of. */
export interface TableContents {
  /** What it shows; also what a screen reader calls its frame, so no two on a page are alike. */
  readonly caption: string;
  /** Of the columns, the first of which heads the rows. */
  readonly headings: readonly string[];
  readonly rows: readonly (readonly Cell[])[];
  /** Columns of text, by number, which stand at the left; the others hold numbers. The first is text. */
  readonly texts?: readonly number[];
  /** Reasons that cells refer to. */
  readonly reasons?: Reasons;
}

/** Columns that fit on paper; in tables of more, numbers are broken into lines when printed. */
const mostOnPaper = 9;

export function tableHtml({ caption, headings, rows, texts = [], reasons }: TableContents): string {
  const kind = (column: number) =>
    column === 0 ? "" : texts.includes(column) ? ' class="words"' : ' class="number"';
  // A last column of words goes under its row where the page is narrow.
  const under = headings.length <= 4 && texts.length === 1 && texts[0] === headings.length - 1;
  const head = headings.map((name, column) =>
    name === "" ? `<td${kind(column)}></td>` : `<th scope="col"${kind(column)}>${escapeMarkup(name)}</th>`,
  );
  const body = rows.map((row) => {
    const cells = row.map((cell, column) =>
      column === 0 ? `<th scope="row">${markupOf(cell)}</th>` : `<td${kind(column)}>${markupOf(cell)}</td>`,
    );
    return `<tr>${cells.join("")}</tr>`;
  });
  return `<div class="scroll${headings.length > mostOnPaper ? " wide" : ""}${under ? " under" : ""}" role="region" aria-label="${escapeMarkup(caption)}" tabindex="0"><table><caption><span>${escapeMarkup(caption)}</span></caption><thead><tr>${head.join("")}</tr></thead><tbody>${body.join("")}</tbody></table></div>${reasons?.list() ?? ""}`;
}

const markupOf = (cell: Cell): string => (typeof cell === "string" ? escapeMarkup(cell) : cell.markup);

/** Why numbers of a table have no interval: told once under it, by number. */
export class Reasons {
  readonly #reasons: string[] = [];

  /** The letter of a reason, as markup. */
  mark(reason: string): string {
    const found = this.#reasons.indexOf(reason);
    const number = found >= 0 ? found + 1 : this.#reasons.push(reason);
    return `<sup>${letters(number)}</sup>`;
  }

  /** A number with its interval under it, or with the letter of the reason why there is none. */
  cell(estimate: Estimate, digits = 3): Cell {
    const value = decimal(estimate.value, digits);
    if (estimate.reason !== undefined) return { markup: `${value}${this.mark(estimate.reason)}` };
    return { markup: `${value}<br><span class="note">${rangeOf(estimate, digits)}</span>` };
  }

  /** A number with no interval, which the reason is told of. */
  bare(value: number, reason: string, digits = 3): Cell {
    return { markup: `${decimal(value, digits)}${this.mark(reason)}` };
  }

  list(): string {
    if (this.#reasons.length === 0) return "";
    const items = this.#reasons.map(
      (reason, at) => `<sup>${letters(at + 1)}</sup> No interval, because ${escapeMarkup(reason)}.`,
    );
    return `<p class="note reasons">${items.join("<br>")}</p>`;
  }
}

/** a, b, … z, aa, …: a raised number beside a number would be a power. */
const letters = (number: number): string =>
  number <= 0 ? "" : letters(Math.floor((number - 1) / 26)) + String.fromCharCode(97 + ((number - 1) % 26));
