/**
 * A report of an evaluation as one HTML page that stands alone: no scripts, nothing loaded from elsewhere, so that it
 * can be mailed, archived and opened years later. Links lead to its sections; what is wider than the screen scrolls in a frame
 * of its own, which the keyboard reaches.
 */

import type { ClassificationMetrics } from "../metrics/classification.js";
import { expectEstimate } from "../metrics/estimate.js";
import type { ConfidenceIntervals } from "../metrics/intervals.js";
import type { MultiLabelMetrics } from "../metrics/multi-label.js";
import { expectList, expectNamed, expectText } from "../settings/given.js";
import type { AnyIntervals } from "./evidence.js";
import { factList } from "./facts.js";
import { escapeMarkup } from "./figures/svg.js";
import { expectMetrics } from "./given.js";
import { figuresHtml, type ReportFigure } from "./page-figure.js";
import { style } from "./page-style.js";
import { classTable, scoresSection } from "./sections/scores.js";
import { expectSections, type ReportSection, sectionOrder } from "./sections/section.js";
import { haveSeveralLabels } from "./several-labels.js";

/** What `reportHtml` puts on the page. */
export interface PageContents {
  /** Heading of the page. */
  readonly title: string;
  /** A sentence or two under the title: which data, which checkpoint. */
  readonly description?: string;
  /** Facts for the record, such as the checkpoint's file name or the date, in order. */
  readonly facts?: Readonly<Record<string, string>>;
  /** The scores, which the tables are made of. */
  readonly metrics: ClassificationMetrics | MultiLabelMetrics;
  /** Confidence intervals beside accuracy and AUC. */
  readonly intervals?: ConfidenceIntervals;
  /** 95 % intervals beside all scores, in the place of `intervals`. */
  readonly estimates?: AnyIntervals;
  /** In their order; none unless given. */
  readonly figures?: readonly ReportFigure[];
  /** Further parts of the page, in any order; one of the same id as a part that the page makes takes its place. */
  readonly sections?: readonly ReportSection[];
}

/** The page. All text is escaped; figures and the bodies of sections are not, since they are markup already. */
export function reportHtml(contents: PageContents): string {
  expectContents(contents);
  const { title, description, facts = {}, metrics, sections = [] } = contents;
  const parts = new Map([...ownSections(contents), ...sections].map((section) => [section.id, section]));
  const shown = sectionOrder.flatMap((id) => parts.get(id) ?? []);
  const lead = description === undefined ? "" : `<p class="lead">${escapeMarkup(description)}</p>\n`;
  const all = { ...facts, Samples: String(metrics.samples), Classes: String(metrics.classes.length) };
  return pageHtml(title, shown.map(sectionHtml).join("\n"), `${lead}${factList(all)}`, shown);
}

/** What follows from the scores and the figures alone. */
function ownSections({ metrics, intervals, estimates, figures = [] }: PageContents): ReportSection[] {
  return [
    scoresSection({ metrics, intervals, estimates }),
    { id: "classes", heading: "By class", body: classTable({ metrics, estimates }) },
    ...(figures.length === 0
      ? []
      : [{ id: "curves", heading: "Figures", body: figuresHtml(figures) } as const]),
  ];
}

const sectionHtml = ({ id, heading, body }: ReportSection): string =>
  `<section id="${id}" aria-labelledby="${id}-heading">\n<h2 id="${id}-heading">${escapeMarkup(heading)}</h2>\n${body}\n</section>`;

/**
 * A page that stands alone, with its title as a heading.
 *
 * @param body      markup, in which all text is escaped
 * @param intro     the same, under the title
 * @param sections  of the body, which links lead to
 */
export function pageHtml(
  title: string,
  body: string,
  intro = "",
  sections: readonly Pick<ReportSection, "id" | "heading">[] = [],
): string {
  const links = sections.map(({ id, heading }) => `<li><a href="#${id}">${escapeMarkup(heading)}</a></li>`);
  const navigation =
    links.length === 0 ? "" : `<nav aria-label="Sections">\n<ul>${links.join("\n")}</ul>\n</nav>\n`;
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
<title>${escapeMarkup(title)}</title>
<style>${style}</style>
</head>
<body>
<header>
<h1>${escapeMarkup(title)}</h1>
${intro}
</header>
${navigation}<main>
${body}
</main>
</body>
</html>
`;
}

function expectContents(contents: PageContents): void {
  const {
    title,
    description,
    facts = {},
    metrics,
    estimates = {},
    figures = [],
    sections = [],
  } = expectNamed("reportHtml", "contents", contents, {
    title: true,
    description: true,
    facts: true,
    metrics: true,
    intervals: true,
    estimates: true,
    figures: true,
    sections: true,
  });
  expectText("reportHtml", "title", title);
  if (description !== undefined) expectText("reportHtml", "description", description);
  for (const [name, fact] of Object.entries(expectNamed("reportHtml", "facts", facts)))
    expectText("reportHtml", `the fact ${name}`, fact);
  if (!haveSeveralLabels(metrics)) expectMetrics("reportHtml", metrics);
  for (const [name, found] of Object.entries(expectNamed("reportHtml", "estimates", estimates)))
    for (const one of Array.isArray(found) ? found : [found])
      expectEstimate("reportHtml", `estimates.${name}`, one);
  expectList("reportHtml", "figures", figures);
  for (const figure of figures) {
    const { svg, caption } = expectNamed("reportHtml", "a figure", figure);
    expectText("reportHtml", "the svg of a figure", svg);
    expectText("reportHtml", "the caption of a figure", caption);
  }
  expectSections("reportHtml", sections);
}
