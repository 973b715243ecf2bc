/** Markup read back: whether it is well-formed, what is in it, and the tables of a page. */
import { expect } from "vitest";

/** A name that would break out of markup, or could not be in it. */
export const hostile = `</svg><script>alert("1")</script> & 'x'\u0000\ud800`;

export interface XmlElement {
  name: string;
  attributes: Record<string, string>;
}

/** The elements and texts of a document, if it is well-formed XML without entities of its own. */
export function parseXml(source: string): { elements: XmlElement[]; texts: string[] } {
  const elements: XmlElement[] = [];
  const texts: string[] = [];
  const opened: string[] = [];
  const token = /<(\/?)([a-zA-Z][a-zA-Z0-9]*)((?:\s+[\w:-]+="[^"<]*")*)\s*(\/?)>|([^<>]+)/y;
  for (let at = 0; at < source.length; at = token.lastIndex) {
    token.lastIndex = at;
    const [whole, closing, name, attributes, empty, content] = token.exec(source) ?? [];
    if (whole === undefined) throw new Error(`not well-formed at ${at}: ${source.slice(at, at + 40)}`);
    if (/&(?!(?:amp|lt|gt|quot|#39);)/.test(whole)) throw new Error(`a bare ampersand in ${whole}`);
    if (content !== undefined) texts.push(content);
    else if (closing) expect(opened.pop()).toBe(name);
    else {
      const pairs = [...attributes!.matchAll(/([\w:-]+)="([^"]*)"/g)].map(
        ([, key, value]) => [key!, value!] as const,
      );
      expect(new Set(pairs.map(([key]) => key)).size).toBe(pairs.length);
      elements.push({ name: name!, attributes: Object.fromEntries(pairs) });
      if (!empty) opened.push(name!);
    }
    if (opened.length === 0) expect(token.lastIndex).toBe(source.length);
  }
  expect(opened).toEqual([]);
  return { elements, texts };
}

/** Numbers that are finite and within the picture's size, for every position that is written. */
export function expectInside({ elements }: { elements: XmlElement[] }): void {
  const { width, height } = elements[0]!.attributes;
  const limits: Record<string, number> = {
    x: +width!,
    x1: +width!,
    x2: +width!,
    cx: +width!,
    y: +height!,
    y1: +height!,
    y2: +height!,
    cy: +height!,
  };
  for (const { attributes } of elements) {
    for (const [key, value] of Object.entries(attributes)) {
      expect(value).not.toMatch(/NaN|undefined|Infinity/);
      const limit = limits[key];
      if (limit === undefined) continue;
      expect(+value).toBeGreaterThanOrEqual(0);
      expect(+value).toBeLessThanOrEqual(limit);
    }
  }
}

/** A table of a page as text: a raised letter stands after the number that has no interval, two lines are one with a space. */
export interface PageTable {
  readonly caption: string;
  readonly headings: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

const entities: Readonly<Record<string, string>> = {
  "&amp;": "&",
  "&lt;": "<",
  "&gt;": ">",
  "&quot;": '"',
  "&#39;": "'",
};

/** What is read of markup. */
export const textOf = (markup: string): string =>
  markup
    .replace(/<br>/g, " ")
    .replace(/<[^>]*>/g, "")
    .replace(/&(?:amp|lt|gt|quot|#39);/g, (entity) => entities[entity]!);

export function tablesOf(html: string): PageTable[] {
  return [...html.matchAll(/<table>(.*?)<\/table>/gs)].map(([, table = ""]) => {
    const rows = [...table.matchAll(/<tr>(.*?)<\/tr>/gs)].map(([, row = ""]) =>
      [...row.matchAll(/<t[hd][^>]*>(.*?)<\/t[hd]>/gs)].map(([, cell = ""]) => textOf(cell)),
    );
    const caption = textOf(/<caption>(.*?)<\/caption>/s.exec(table)?.[1] ?? "");
    return { caption, headings: rows[0] ?? [], rows: rows.slice(1) };
  });
}

/** The table whose caption matches. */
export function tableOf(html: string, caption: RegExp): PageTable {
  const found = tablesOf(html).filter((table) => caption.test(table.caption));
  expect(found.map((table) => table.caption)).toHaveLength(1);
  return found[0]!;
}

/** The cells of a row by its first one. */
export function rowOf({ rows }: PageTable, name: string): readonly string[] {
  const found = rows.find(([first]) => first === name);
  expect(found, `a row ${name}`).toBeDefined();
  return found!.slice(1);
}
