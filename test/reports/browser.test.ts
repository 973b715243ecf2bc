/** Reports as people have them: in a browser on a desk and on a phone, by keyboard and screen reader, and on paper. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import axe from "axe-core";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { audit } from "../../src/audit/audit.js";
import { writeAudit } from "../../src/reports/audit-report.js";
import { writeReport } from "../../src/reports/evaluation-report.js";
import { openBrowser, withoutBrowser } from "../support/browser.js";
import { fullReport, kinds } from "../support/full-report.js";
import { sides } from "../support/sides.js";
import { root } from "../support/temporary-folder.js";

/** What of a page is asked for in it: DOM's own types would take the place of Node's throughout the tests. */
interface Shown {
  readonly id: string;
  readonly tagName: string;
  readonly outerHTML: string;
  readonly textContent: string | null;
  readonly tabIndex: number;
  readonly scrollWidth: number;
  readonly clientWidth: number;
  readonly parentElement: Shown | null;
  closest(selector: string): Shown | null;
  getAttribute(name: string): string | null;
  getBoundingClientRect(): { readonly width: number; readonly height: number; readonly right: number };
}
declare const document: {
  readonly documentElement: Shown;
  querySelectorAll(selector: string): Iterable<Shown>;
  getElementById(id: string): Shown | null;
};

/** CSS pixels of an A4 page between its margins of 14 mm. */
const paper = { width: 688, height: 1017 };

describe.skipIf(withoutBrowser)("a report in a browser", () => {
  let browser: Browser;
  const pages: Record<string, string> = {};
  beforeAll(async () => {
    browser = await openBrowser();
    for (const kind of kinds) {
      await writeReport(root, { ...fullReport(kind), png: false });
      pages[kind] = readFileSync(join(root, "report.html"), "utf8");
    }
    const dataset = sides(24, 1);
    await writeAudit(root, { title: "Audit", dataset, report: await audit(dataset) });
    pages.audit = readFileSync(join(root, "audit.html"), "utf8");
  });
  afterAll(() => browser?.close());

  /** @param width  of the window */
  async function opened<T>(name: string, width: number, body: (page: Page) => Promise<T>): Promise<T> {
    const context = await browser.newContext({ viewport: { width, height: 844 } });
    const page = await context.newPage();
    const requests: string[] = [];
    page.on("request", (request) => requests.push(request.url()));
    try {
      await page.setContent(pages[name]!, { waitUntil: "load" });
      const result = await body(page);
      expect(requests.filter((url) => !url.startsWith("data:"))).toEqual([]);
      return result;
    } finally {
      await context.close();
    }
  }

  describe.each([...kinds, "audit"])("%s", (name) => {
    it.each(name === "two classes" ? [1280, 390] : [1280])(
      "at %d pixels has nothing that axe-core objects to",
      async (width) => {
        const violations = await opened(name, width, async (page) => {
          await page.evaluate(axe.source);
          const found = await page.evaluate(() =>
            (globalThis as unknown as { axe: typeof axe }).axe.run({ resultTypes: ["violations"] }),
          );
          return found.violations.map(
            ({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html.slice(0, 200)).join(" | ")}`,
          );
        });
        expect(violations).toEqual([]);
      },
    );

    it("on a phone overflows nowhere but in frames that scroll, which the keyboard reaches", async () => {
      const found = await opened(name, 390, (page) =>
        page.evaluate(() => {
          const wide = [...document.querySelectorAll("main *, header *, nav *")].filter(
            (element) =>
              !element.parentElement?.closest(".scroll, svg") &&
              element.getBoundingClientRect().right > document.documentElement.clientWidth + 0.5,
          );
          const frames = [...document.querySelectorAll(".scroll")];
          return {
            page: document.documentElement.scrollWidth,
            wide: wide.map((element) => element.outerHTML.slice(0, 120)),
            unreachable: frames.filter(
              (frame) => frame.scrollWidth > frame.clientWidth && frame.tabIndex !== 0,
            ).length,
          };
        }),
      );
      expect(found).toEqual({ page: 390, wide: [], unreachable: 0 });
    });
  });

  it("on a phone has what a score is under it, and captions that stay where a table scrolls", async () => {
    const found = await opened("two classes", 390, (page) =>
      page.evaluate(() => {
        const scrolled = [...document.querySelectorAll(".scroll")].filter(
          (frame) => frame.scrollWidth > frame.clientWidth && frame.outerHTML.includes("<caption>"),
        );
        const captions = [...document.querySelectorAll("caption span")];
        for (const frame of scrolled) (frame as unknown as { scrollLeft: number }).scrollLeft = 60;
        return {
          scrolled: scrolled.length,
          lefts: captions.map(
            (caption) => (caption.getBoundingClientRect() as unknown as { left: number }).left,
          ),
          words: [...document.querySelectorAll(".under tbody .words")].map(
            (cell) => cell.getBoundingClientRect().width,
          ),
        };
      }),
    );
    expect(found.scrolled).toBeGreaterThan(0);
    for (const left of found.lefts) expect(left).toBeGreaterThanOrEqual(14);
    expect(found.words.length).toBeGreaterThan(10);
    for (const width of found.words) expect(width).toBeGreaterThan(300);
  });

  it("has headings in order, a link to every section, and no id twice", async () => {
    const found = await opened("two classes", 1280, (page) =>
      page.evaluate(() => ({
        levels: [...document.querySelectorAll("h1, h2, h3, h4")].map(({ tagName }) => Number(tagName[1])),
        links: [...document.querySelectorAll("nav a")].map((link) => link.getAttribute("href")!.slice(1)),
        sections: [...document.querySelectorAll("main section")].map(({ id }) => id),
        ids: [...document.querySelectorAll("[id]")].map(({ id }) => id),
        unnamed: [...document.querySelectorAll("svg")].filter(
          (svg) => !document.getElementById(svg.getAttribute("aria-labelledby") ?? "")?.textContent,
        ).length,
      })),
    );
    expect(found.levels[0]).toBe(1);
    for (const [at, level] of found.levels.slice(1).entries())
      expect(level - found.levels[at]!).toBeLessThanOrEqual(1);
    expect(found.links).toEqual(found.sections);
    expect(found.sections).toContain("mistakes");
    expect(new Set(found.ids).size).toBe(found.ids.length);
    expect(found.unnamed).toBe(0);
  });

  it.each(kinds)("of %s has every section on paper, and no figure or table that is cut", async (name) => {
    await opened(name, paper.width, async (page) => {
      await page.emulateMedia({ media: "print" });
      const cut = await page.evaluate(({ width, height }) => {
        const all = [...document.querySelectorAll("figure, figure svg, img, table")];
        return all
          .filter((element) => {
            const box = element.getBoundingClientRect();
            const tooTall = element.tagName !== "TABLE" && box.height > height;
            return tooTall || box.right > width + 0.5;
          })
          .map(
            (element) =>
              `${element.tagName} ${element.getBoundingClientRect().width} ${element.textContent?.slice(0, 80)}`,
          );
      }, paper);
      expect(cut).toEqual([]);
      const headings = await page.locator("h2").allTextContents();
      const pdf = await page.pdf({
        preferCSSPageSize: true,
        printBackground: true,
        tagged: true,
        outline: true,
      });
      const written = pdf.toString("latin1");
      expect(written.match(/\/Type\s*\/Page\b/g)!.length).toBeGreaterThan(2);
      // The outline of the document has a title for each heading, as UTF-16 or as plain text.
      for (const heading of headings) {
        const wide = Buffer.from(heading, "utf16le").swap16().toString("hex").toUpperCase();
        expect(written.includes(`(${heading})`) || written.toUpperCase().includes(wide), heading).toBe(true);
      }
    });
  });
});
