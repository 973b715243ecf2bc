/** A model card as JSON and as XML, for programs. */
import { escapeMarkup } from "../figures/svg.js";
import { type AppliedModelCard, cardSchema } from "./applied-model-card.js";

/** The elements of the schema as members of an object; `schema` says whose they are. */
export const cardJson = (card: AppliedModelCard): string =>
  `${JSON.stringify({ schema: cardSchema, AppliedModelCard: card }, null, 2)}\n`;

/** What the schema is written for. */
export const cardXml = (card: AppliedModelCard): string =>
  `<?xml version="1.0" encoding="UTF-8"?>\n<AppliedModelCard xmlns="${cardSchema}">${childrenOf(card, "\n\t")}\n</AppliedModelCard>\n`;

/** A list is its entries one after the other, each under the list's name. */
function childrenOf(value: object, indent: string): string {
  return Object.entries(value)
    .flatMap(([name, child]) => (Array.isArray(child) ? child.map((item) => [name, item]) : [[name, child]]))
    .flatMap(([name, child]) => (child === undefined ? [] : [elementOf(name, child, indent)]))
    .join("");
}

function elementOf(name: string, value: unknown, indent: string): string {
  if (typeof value === "string") return `${indent}<${name}>${escapeMarkup(value)}</${name}>`;
  return `${indent}<${name}>${childrenOf(value as object, `${indent}\t`)}${indent}</${name}>`;
}
