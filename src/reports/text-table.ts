/** A table of texts: captioned, the first column heading the rows, in a frame that scrolls by keyboard where it is narrow. */
import { escapeMarkup } from "./figures/svg.js";

/**
 * @param caption   what it shows; no two on a page are alike
 * @param headings  text
 * @param rows      markup, in which all text is escaped
 */
export function textTable(
  caption: string,
  headings: readonly string[],
  rows: readonly (readonly string[])[],
): string {
  const head = headings.map((name) => `<th scope="col">${escapeMarkup(name)}</th>`).join("");
  const body = rows.map(([first = "", ...others]) => {
    const cells = others.map((cell) => `<td>${cell}</td>`).join("");
    return `<tr><th scope="row">${first}</th>${cells}</tr>`;
  });
  const name = escapeMarkup(caption);
  return `<div class="scroll" role="region" aria-label="${name}" tabindex="0"><table><caption><span>${name}</span></caption><thead><tr>${head}</tr></thead><tbody>${body.join("\n")}</tbody></table></div>`;
}
