/** Sentences with `commands` in them, which are code on a page. */
import { escapeMarkup, type Markup } from "./figures/svg.js";

/** Escaped; what stands between backticks is code. */
export const textWithCode = (content: string): Markup =>
  escapeMarkup(content).replace(/`([^`\n]+)`/g, "<code>$1</code>") as Markup;
