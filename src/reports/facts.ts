/** Facts under each other, as a list of terms. */
import { escapeMarkup } from "./figures/svg.js";

export function factList(facts: Readonly<Record<string, string>>): string {
  const items = Object.entries(facts).map(
    ([name, value]) => `<dt>${escapeMarkup(name)}</dt><dd>${escapeMarkup(value)}</dd>`,
  );
  return `<dl>${items.join("")}</dl>`;
}
