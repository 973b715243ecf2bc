/**
 * JSON as a file header needs it: objects become Maps, so that no key (`__proto__`) can reach a prototype, and a key
 * that occurs twice is refused, where JSON.parse would silently keep the last. Depth is bounded, so that a hostile
 * header cannot exhaust the stack.
 */

export type StrictJson = null | boolean | number | string | StrictJson[] | Map<string, StrictJson>;

const maximumDepth = 16;
const literals: [string, StrictJson][] = [
  ["true", true],
  ["false", false],
  ["null", null],
];

/** An object has more keys than may be. */
export class TooManyKeys extends SyntaxError {}

/**
 * @param maximumKeys  of one object; the names of a file's tensors are the longest list there is
 * @throws SyntaxError with the position, if `text` is not one JSON value, repeats a key or nests deeper than 16;
 *   TooManyKeys
 */
export function parseStrictJson(text: string, { maximumKeys = 100_000 } = {}): StrictJson {
  const parser = new Parser(text, maximumKeys);
  const value = parser.value(0);
  parser.end();
  return value;
}

class Parser {
  private position = 0;
  private readonly number = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;

  constructor(
    private readonly text: string,
    private readonly maximumKeys: number,
  ) {}

  value(depth: number): StrictJson {
    if (depth > maximumDepth) this.fail(`more than ${maximumDepth} levels of nesting`);
    const next = this.peek();
    if (next === "{") return this.object(depth);
    if (next === "[") return this.array(depth);
    if (next === '"') return this.string();
    for (const [word, value] of literals) {
      if (this.text.startsWith(word, this.position)) {
        this.position += word.length;
        return value;
      }
    }
    this.number.lastIndex = this.position;
    const digits = this.number.exec(this.text)?.[0];
    if (digits === undefined)
      this.fail(next === undefined ? "unexpected end" : `unexpected ${JSON.stringify(next)}`);
    this.position += digits.length;
    return Number(digits);
  }

  end(): void {
    const next = this.peek();
    if (next !== undefined) this.fail(`unexpected ${JSON.stringify(next)} after the value`);
  }

  private object(depth: number): Map<string, StrictJson> {
    const members = new Map<string, StrictJson>();
    this.expect("{");
    if (this.take("}")) return members;
    do {
      if (this.peek() !== '"') this.fail("a key was expected");
      const key = this.string();
      if (members.has(key)) this.fail(`key ${JSON.stringify(key)} occurs twice`);
      this.expect(":");
      members.set(key, this.value(depth + 1));
      if (members.size > this.maximumKeys)
        throw new TooManyKeys(`more than ${this.maximumKeys} names in one object`);
    } while (this.take(","));
    this.expect("}");
    return members;
  }

  private array(depth: number): StrictJson[] {
    const elements: StrictJson[] = [];
    this.expect("[");
    if (this.take("]")) return elements;
    do elements.push(this.value(depth + 1));
    while (this.take(","));
    this.expect("]");
    return elements;
  }

  /** Finds the closing quote here and leaves escapes and control characters to JSON.parse. */
  private string(): string {
    const start = this.position;
    let end = start + 1;
    // Most strings have no escapes: then the next quote is the end.
    const quote = this.text.indexOf('"', end);
    const slash = quote < 0 ? -1 : this.text.slice(end, quote).indexOf("\\");
    if (quote >= 0 && slash < 0) end = quote;
    else while (end < this.text.length && this.text[end] !== '"') end += this.text[end] === "\\" ? 2 : 1;
    if (end >= this.text.length) this.fail("a string does not end");
    this.position = end + 1;
    try {
      return JSON.parse(this.text.slice(start, end + 1)) as string;
    } catch {
      this.position = start;
      return this.fail("a string is malformed");
    }
  }

  private peek(): string | undefined {
    for (;;) {
      const code = this.text.charCodeAt(this.position); // space, tab, line feed, carriage return
      if (code !== 32 && code !== 9 && code !== 10 && code !== 13) break;
      this.position++;
    }
    return this.text[this.position];
  }

  private take(character: string): boolean {
    if (this.peek() !== character) return false;
    this.position++;
    return true;
  }

  private expect(character: string): void {
    if (!this.take(character)) this.fail(`${JSON.stringify(character)} was expected`);
  }

  private fail(reason: string): never {
    throw new SyntaxError(`${reason} at character ${this.position}`);
  }
}
