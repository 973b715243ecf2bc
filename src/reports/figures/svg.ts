/**
 * SVG as text. Markup can only come from `element` and `text`, which escape what they are given, so that a class name
 * such as `<script>` stays a name. Figures use no style sheets, and no ids but those of their title and description, which are
 * made of what they draw: several can stand in one page.
 */

declare const isMarkup: unique symbol;

/** Well-formed XML. */
export type Markup = string & { readonly [isMarkup]: true };

export type Attributes = Readonly<Record<string, string | number | undefined>>;

/** Colours: dark on white, with the greys at 4.5:1 or more where they carry text. */
export const ink = {
  text: "#1f2328",
  muted: "#59636e",
  axis: "#8c959f",
  grid: "#e4e7eb",
  paper: "#ffffff",
} as const;

/**
 * Okabe and Ito's colours, which stay apart under every common colour blindness, without the yellow that vanishes on
 * white; `text` is the same hue, dark enough to read.
 */
export const palette = [
  { line: "#0072b2", text: "#005f94" },
  { line: "#d55e00", text: "#a84a00" },
  { line: "#009e73", text: "#00704f" },
  { line: "#cc79a7", text: "#97416f" },
  { line: "#e69f00", text: "#8a5f00" },
  { line: "#56b4e9", text: "#1d6f9f" },
  { line: "#333333", text: "#333333" },
] as const;

export const fontFamily =
  "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, 'Liberation Sans', 'DejaVu Sans', sans-serif";

const replacements: Record<string, string> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

/** Text for use in XML or HTML; characters that XML cannot hold become U+FFFD. */
export const escapeMarkup = (content: string): Markup =>
  content
    // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what XML 1.0 forbids
    .replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]|\p{Surrogate}/gu, "\ufffd")
    .replace(/[&<>"']/g, (character) => replacements[character]!) as Markup;

/** Numbers are written to 0.01 px; attributes that are undefined are left out. */
export function element(name: string, attributes: Attributes, ...children: Markup[]): Markup {
  const written = Object.entries(attributes)
    .filter(([, value]) => value !== undefined)
    .map(
      ([key, value]) =>
        ` ${key}="${typeof value === "number" ? +value.toFixed(2) : escapeMarkup(value as string)}"`,
    )
    .join("");
  const content = children.join("");
  return (content === "" ? `<${name}${written}/>` : `<${name}${written}>${content}</${name}>`) as Markup;
}

/** A line of text with its baseline at y. */
export const text = (x: number, y: number, content: string, attributes: Attributes = {}): Markup =>
  element("text", { x, y, ...attributes }, escapeMarkup(content));

export const line = (x1: number, y1: number, x2: number, y2: number, attributes: Attributes): Markup =>
  element("line", { x1, y1, x2, y2, ...attributes });

/** What a picture shows, for those who cannot see it. */
export interface FigureWords {
  /** What it is, in a line; the tooltip too. */
  readonly title: string;
  /** What is to be seen in it: the numbers. */
  readonly description: string;
}

/** The whole picture on a white ground. @param words  what it shows: a title, or a title and a description */
export function figure(
  width: number,
  height: number,
  words: string | FigureWords,
  ...children: Markup[]
): string {
  const [w, h] = [Math.ceil(width), Math.ceil(height)];
  const { title, description } = typeof words === "string" ? { title: words, description: undefined } : words;
  const id = digest(`${w} ${h} ${title} ${description} ${children.join("")}`);
  return element(
    "svg",
    {
      xmlns: "http://www.w3.org/2000/svg",
      width: w,
      height: h,
      viewBox: `0 0 ${w} ${h}`,
      role: "img",
      "aria-labelledby": `title-${id}`,
      "aria-describedby": description === undefined ? undefined : `description-${id}`,
      "font-family": fontFamily,
      "font-size": 12,
      fill: ink.text,
      style: "font-variant-numeric: tabular-nums",
    },
    element("title", { id: `title-${id}` }, escapeMarkup(title)),
    ...(description === undefined
      ? []
      : [element("desc", { id: `description-${id}` }, escapeMarkup(description))]),
    element("rect", { width: w, height: h, fill: ink.paper }),
    ...children,
  );
}

/** 53 bits of a text as letters and digits: two rounds of FNV-1a (http://www.isthe.com/chongo/tech/comp/fnv). */
function digest(content: string): string {
  const hash = (offset: number): number => {
    let state = offset;
    for (let i = 0; i < content.length; i++) state = Math.imul(state ^ content.charCodeAt(i), 0x01000193);
    return state >>> 0;
  };
  return hash(0x811c9dc5).toString(36) + hash(0x9e3779b9).toString(36);
}
