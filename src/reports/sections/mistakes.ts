/** The surest mistakes, with their pictures where these are wanted. */
import { escapeMarkup } from "../figures/svg.js";
import type { PicturedMistake, PicturedMistakes } from "../mistake-pictures.js";
import { counted } from "../numbers.js";
import { tableHtml } from "../tables.js";
import type { ReportSection } from "./section.js";

/** The section. */
export function mistakesSection({ surest, wrong, answers, heatMaps }: PicturedMistakes): ReportSection {
  const heading = "Mistakes";
  if (wrong === 0)
    return { id: "mistakes", heading, body: `<p>None of ${counted(answers, "answer")} is wrong.</p>` };
  const pictured = surest.some(({ picture }) => picture !== undefined);
  const parts = [
    `<p>${escapeMarkup(`${wrong} of ${counted(answers, "answer")} ${wrong === 1 ? "is" : "are"} wrong. ${surest.length === wrong ? "All of them" : `The ${surest.length} that it is surest of`}, of each true class in turn; numbers count from 0 in the order of the images that were judged.`)}</p>`,
    pictured ? pictures(surest, heatMaps) : "",
    table(surest),
  ];
  return { id: "mistakes", heading, body: parts.filter(Boolean).join("\n") };
}

const percent = (probability: number): string => {
  const shown = (probability * 100).toFixed(1);
  return shown === "100.0" && probability < 1 ? "more than 99.9 %" : `${shown} %`;
};

function pictures(mistakes: readonly PicturedMistake[], heatMaps: string | undefined): string {
  const maps =
    heatMaps === undefined
      ? ""
      : ` On the right of each, in color, is what spoke for the wrong answer (${heatMaps}); it says where the network looked, not why.`;
  const cards = mistakes
    .filter(({ picture }) => picture !== undefined)
    .map((mistake) => card(mistake, heatMaps));
  return `<p class="bad">These are pictures of patients. Names and dates that are burned into an image cannot be ruled out: look at each before you pass this page on. Without pictures it is written with <code class="flag">--no-images</code>.</p>
<p class="note">${escapeMarkup(`Nothing that a file says of a patient is in them.${maps}`)}</p>
<div class="pairs">${cards.join("\n")}</div>`;
}

function card(
  { image, truth, called, explained, probability, picture = "" }: PicturedMistake,
  heatMaps: string | undefined,
): string {
  const map =
    heatMaps === undefined ? "" : `; beside it the same with the evidence for ${explained} in color`;
  const alternative = `Image ${image}, which is ${truth} and called ${called}${map}`;
  return `<div class="pair mistake"><img src="${escapeMarkup(picture)}" alt="${escapeMarkup(alternative)}"><p><b>Image ${image}</b>: is ${escapeMarkup(truth)}, called ${escapeMarkup(called)} with ${percent(probability)}</p></div>`;
}

const table = (mistakes: readonly PicturedMistake[]): string =>
  tableHtml({
    caption: "The surest mistakes",
    headings: ["Image", "Is", "Called", "Probability of that"],
    rows: mistakes.map(({ image, truth, called, probability }) => [
      String(image),
      truth,
      called,
      percent(probability),
    ]),
    texts: [1, 2],
  });
