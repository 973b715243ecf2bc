import { describe, expect, it } from "vitest";
import { ArgumentError } from "../../../src/errors.js";
import { classificationMetrics } from "../../../src/metrics/classification.js";
import { reportHtml } from "../../../src/reports/page.js";
import type { ReportSection } from "../../../src/reports/sections/section.js";

const metrics = classificationMetrics([0, 1, 1], [0.8, 0.2, 0.4, 0.6, 0.7, 0.3], ["well", "ill"]);
const page = (sections: readonly unknown[]) =>
  reportHtml({ title: "t", metrics, sections: sections as ReportSection[] });
const headings = (html: string) =>
  [...html.matchAll(/<h2[^>]*>([^<]*)<\/h2>/g)].map(([, heading]) => heading);
const seal = { id: "seal", heading: "Sealed <test>", body: "<p>looked at once</p>" };

describe("sections that a report is given", () => {
  it("stand in the order of reading, whatever order they are given in", () => {
    const summary = { id: "summary", heading: "In short", body: "" };
    const found = headings(page([seal, summary]));
    expect(found[0]).toBe("In short");
    expect(found.at(-1)).toBe("Sealed &lt;test&gt;");
  });

  it("take the place of the page's own of the same id", () => {
    const html = page([{ id: "scores", heading: "Other scores", body: "<p>mine</p>" }]);
    expect(html.match(/id="scores"/g)).toHaveLength(1);
    expect(headings(html)).toContain("Other scores");
    expect(html).toContain("<p>mine</p>");
  });

  it.each([
    ["of an unknown id", [{ ...seal, id: "sael" }], /"sael", not one of summary, scores/],
    ["twice", [seal, seal], /two sections seal/],
    ["without a body", [{ ...seal, body: undefined }], /body of section seal has to be text/],
    ["with something else in it", [{ ...seal, bodies: "" }], /bodies/],
    ["that are none", ["seal"], /a section has to be an object/],
  ])("are refused %s", (_, sections, message) => {
    expect(() => page(sections)).toThrow(ArgumentError);
    expect(() => page(sections)).toThrow(message);
  });
});
