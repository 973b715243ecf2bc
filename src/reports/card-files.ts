/** The checklists and the model card of a run as files. */
import { join } from "node:path";
import { type Path, pathOf } from "../settings/paths.js";
import { replaceText } from "../weights/atomic-file.js";
import { makeFolder } from "../weights/file-errors.js";
import { fillCard } from "./card/fill-card.js";
import { givenStatements } from "./card/given-statements.js";
import type { CardStatements } from "./card/statements.js";
import { cardJson, cardXml } from "./card/written-card.js";
import type { RunFacts } from "./checklists/facts.js";
import { expectFacts } from "./checklists/given-facts.js";
import { modelCardHtml } from "./model-card.js";
import { pageHtml } from "./page.js";
import { checklistSection } from "./sections/checklists.js";

/** Names of the files that `writeModelCard` writes. */
export const cardFiles = {
  /** The checklists, to look at and to go on writing from. */
  checklists: "checklists.html",
  /** The model card, to look at. */
  page: "model-card.html",
  /** The same for programs. */
  json: "model-card.json",
  /** The same as the schema of CHAI has it. */
  xml: "model-card.xml",
} as const;

/**
 * Writes `checklists.html`, and the model card as `model-card.html`, `.json` and `.xml`.
 *
 * @param facts       what the run knows, as `runFacts` gathers it
 * @param statements  what people state, by the names of a card file
 * @returns           the names of the files
 * @throws ArgumentError for what is no fact of a run, and for a statement that there is not; WeightsError for a file that cannot be written
 */
export async function writeModelCard(
  directory: Path,
  facts: RunFacts,
  statements: CardStatements = {},
): Promise<string[]> {
  const folder = pathOf("writeModelCard", directory, "the directory");
  expectFacts("writeModelCard", facts);
  const stated = givenStatements("writeModelCard", statements);
  const card = fillCard(facts, stated);
  const { heading, body } = checklistSection(facts, stated);
  await makeFolder(folder);
  await replaceText(
    join(folder, cardFiles.checklists),
    pageHtml("What the run answers", `<section>\n<h2>${heading}</h2>\n${body}\n</section>`),
  );
  await replaceText(join(folder, cardFiles.page), modelCardHtml(card));
  await replaceText(join(folder, cardFiles.json), cardJson(card));
  await replaceText(join(folder, cardFiles.xml), cardXml(card));
  return Object.values(cardFiles);
}
