/** Reporting checklists with what the run answers, what people have stated, and what is to be written. */
import { givenStatements } from "../card/given-statements.js";
import { type CardStatements, keyOf } from "../card/statements.js";
import { checklists } from "../checklists/all.js";
import {
  type AnsweredChecklist,
  type AnsweredItem,
  answerChecklist,
  type ItemState,
} from "../checklists/checklist.js";
import type { RunFacts } from "../checklists/facts.js";
import { expectFacts } from "../checklists/given-facts.js";
import { textWithCode } from "../code-markup.js";
import { escapeMarkup } from "../figures/svg.js";
import { textTable } from "../text-table.js";
import type { ReportSection } from "./section.js";

/** A sign and words: neither is told by colour. */
const states: Readonly<Record<ItemState, string>> = {
  run: "✓ from the run",
  stated: "✎ stated by the authors",
  partly: "◐ partly from the run",
  open: "☐ to be written",
};

/**
 * Every list with its answers.
 *
 * @param facts       what the run knows
 * @param statements  what people have stated, as a card file has it
 * @throws ArgumentError for what is no fact of a run, and for a statement that there is not
 */
export function answeredChecklists(facts: RunFacts, statements: CardStatements = {}): AnsweredChecklist[] {
  expectFacts("answeredChecklists", facts);
  const stated = givenStatements("answeredChecklists", statements);
  return checklists.map((list) => answerChecklist(list, facts, stated));
}

/**
 * The section of a report. Lists are open, so that print has them; readers may close them.
 *
 * @param facts       what the run knows
 * @param statements  what people have stated, as a card file has it
 * @throws ArgumentError for what is no fact of a run, and for a statement that there is not
 */
export function checklistSection(facts: RunFacts, statements: CardStatements = {}): ReportSection {
  const intro =
    "An item counts as answered by the run only if the run says all that the item asks. What is marked ◐ has a part that people must write, ☐ is theirs altogether; names in brackets are those that a card file has for it (medmamba report --statements). The wording of items is ours: the published lists are what counts.";
  return {
    id: "checklists",
    heading: "Reporting checklists",
    body: `<p>${escapeMarkup(intro)}</p>\n${answeredChecklists(facts, statements).map(listMarkup).join("\n")}`,
  };
}

/** "TRIPOD+AI: the run answers 20 of 52 items (38 %)". */
export function shareInWords({ name, items, counts, share, shareWithStatements }: AnsweredChecklist): string {
  const percent = (part: number) => `${Math.round(part * 100)} %`;
  const stated =
    counts.stated === 0
      ? ""
      : `; with ${counts.stated} stated by the authors ${counts.run + counts.stated} (${percent(shareWithStatements)})`;
  return `${name}: the run answers ${counts.run} of ${items.length} items (${percent(share)})${stated}`;
}

function listMarkup(list: AnsweredChecklist): string {
  const { name, publication, doi, items, counts } = list;
  const rest = `${counts.partly} more are answered partly, ${counts.open} are to be written.`;
  const source = `<p class="note">${escapeMarkup(`${publication}. doi:`)}<a href="https://doi.org/${escapeMarkup(doi)}">${escapeMarkup(doi)}</a>. ${rest}</p>`;
  const rows = items.map((item) => [
    escapeMarkup(item.number),
    `${escapeMarkup(item.subject)}<br><b>${states[item.state]}</b>`,
    `<div style="overflow-wrap: anywhere; min-width: 12em">${answerMarkup(item)}</div>`,
  ]);
  const heading = `<h3 style="display: inline">${escapeMarkup(shareInWords(list))}</h3>`;
  return `<details open><summary>${heading}</summary>
${source}
${textTable(`Items of ${name}`, ["Item", "What it asks", "Answer"], rows)}
</details>`;
}

function answerMarkup({ text, stated = [], write, state, subject }: AnsweredItem): string {
  const said = [text, ...stated].flatMap((part) => (part === undefined ? [] : [textWithCode(part)]));
  if (state === "run" || state === "stated") return said.join("<br>");
  const asked = (write ?? []).map(
    ({ name, words }) =>
      `${escapeMarkup(words)} <span class="note">(<code>${escapeMarkup(keyOf(name))}</code>)</span>`,
  );
  const what = asked.length > 0 ? asked.join("; ") : escapeMarkup(subject);
  return [...said, `<strong>You must write this:</strong> ${what}`].join("<br>");
}
