/** A figure as it stands in a page. */
import { escapeMarkup } from "./figures/svg.js";

/** A figure of a report. */
export interface ReportFigure {
  /** An SVG of this package's figures; it is put into the page as it is. */
  readonly svg: string;
  /** One line under it. */
  readonly caption: string;
}

/** Pixels that a page has on a phone. */
const narrow = 360;

/** One that is wider than a phone scrolls in a frame of its own, so that its lettering stays as large as it is. */
export function figureHtml({ svg, caption }: ReportFigure): string {
  const width = Number(/^<svg[^>]* width="(\d+)"/.exec(svg)?.[1] ?? 0);
  const framed =
    width > narrow
      ? `<div class="scroll" role="region" aria-label="${escapeMarkup(caption)}" tabindex="0">${svg}</div>`
      : svg;
  return `<figure>${framed}<figcaption>${escapeMarkup(caption)}</figcaption></figure>`;
}

/** Figures beside each other where there is room. */
export const figuresHtml = (figures: readonly ReportFigure[]): string =>
  figures.length === 0 ? "" : `<div class="figures">${figures.map(figureHtml).join("\n")}</div>`;
