/** Values read back from what a figure draws, by the ticks of its own axes. */

/** Elements of a kind with their attributes and text, in their order. */
export function elementsOf(svg: string, name: string): (Record<string, string> & { content: string })[] {
  const found = svg.matchAll(new RegExp(`<${name}((?:\\s+[\\w:-]+="[^"]*")*)\\s*(?:/>|>([^<]*))`, "g"));
  return [...found].map(([, attributes = "", content = ""]) => ({
    ...Object.fromEntries(
      [...attributes.matchAll(/([\w:-]+)="([^"]*)"/g)].map(([, key, value]) => [key, value]),
    ),
    content,
  }));
}

/** A number as figures and tables write it. */
export const numberIn = (text: string): number => Number(text.replace("−", "-").replace("%", ""));

/** From pixels to values, by two ticks of an axis. */
function scaleOf(ticks: readonly (readonly [pixel: number, value: number])[]): (pixel: number) => number {
  const [[from, low], [to, high]] = [ticks[0]!, ticks.at(-1)!];
  return (pixel) => low + ((pixel - from) * (high - low)) / (to - from);
}

/** The scales of a figure of one plot: its ticks are at the left and below. */
export function scalesOf(svg: string): { x: (pixel: number) => number; y: (pixel: number) => number } {
  const numbers = elementsOf(svg, "text").filter(({ content }) => /^[−\d.]+%?$/.test(content));
  const along = (anchor: string, attribute: "x" | "y", shift: number) =>
    scaleOf(
      numbers
        .filter((text) => text["text-anchor"] === anchor)
        .map((text) => [Number(text[attribute]) - shift, numberIn(text.content)] as const),
    );
  return { x: along("middle", "x", 0), y: along("end", "y", 4) };
}

/** The points of a path of lines and steps: M, L, H and V. */
export function pointsOf(path: string): [number, number][] {
  const points: [number, number][] = [];
  for (const [, command, numbers] of path.matchAll(/([MLHVZ])([^MLHVZ]*)/g)) {
    const values = (numbers ?? "").split(",").filter(Boolean).map(Number);
    const [x, y] = points.at(-1) ?? [0, 0];
    if (command === "H") points.push([values[0]!, y]);
    else if (command === "V") points.push([x, values[0]!]);
    else for (let i = 0; i + 1 < values.length; i += 2) points.push([values[i]!, values[i + 1]!]);
  }
  return points;
}

/** Where a path is at places of the horizontal axis, by lines between its points; of several points above each other the last. */
export function heightsAt(path: string, svg: string, places: readonly number[]): number[] {
  const { x, y } = scalesOf(svg);
  const points = pointsOf(path).map(([left, top]) => [x(left), y(top)] as const);
  return places.map((place) => {
    const after = points.findIndex(([at]) => at > place + 1e-3);
    if (after <= 0) return points[after < 0 ? points.length - 1 : 0]![1];
    const [[x0, y0], [x1, y1]] = [points[after - 1]!, points[after]!];
    return x1 === x0 ? y0 : y0 + ((y1 - y0) * (place - x0)) / (x1 - x0);
  });
}
