/**
 * The messages of this package as its source has them, and as the page docs/messages.md quotes them.
 *
 * A message is the first text of a typed error or of a warning. `…` stands where names and numbers stand. Text that comes
 * from elsewhere, a constant, a branch, what a function of ours returns, what a helper is called with, is followed there,
 * if it is long enough to be told from a name.
 */
import { join, relative } from "node:path";
import ts from "typescript";
import { textOf } from "./documents.js";
import { repository } from "./repository.js";

export const page = "docs/messages.md";

/** Fixed text shorter than this is a name, a plural or a composition of others, and nothing to look up. */
const shortest = 12;
/** Of one place; beyond it, placeholders stay. */
const mostAlternatives = 60;
const deepest = 30;
const placeholder = "…";

export interface Message {
  readonly text: string;
  /** The class of the error, or "warning". */
  readonly kind: string;
  /** "src/data/labels.ts", where the error is made. */
  readonly file: string;
}

/** Which argument of an error's constructor is the message, where it is not the first. */
const messageAt: Readonly<Record<string, number>> = { MedMambaError: 1, OperationError: 2 };

/** Every message in src, each text of a kind and file once. */
export function messagesInCode(): Message[] {
  const { config } = ts.readConfigFile(join(repository, "tsconfig.json"), ts.sys.readFile);
  const { fileNames, options } = ts.parseJsonConfigFileContent(config, ts.sys, repository);
  // Names are looked up, types are not: neither the language's own nor other packages' are needed.
  const program = ts.createProgram(fileNames, { ...options, noLib: true, types: [] });
  const sources = program
    .getSourceFiles()
    .filter(({ fileName }) => relative(repository, fileName).startsWith("src/"));
  const texts = new Texts(program.getTypeChecker(), sources);
  const found = new Map<string, Message>();
  for (const source of sources) {
    const file = relative(repository, source.fileName);
    each(source, (node) => {
      const sink = sinkOf(node) ?? texts.refusedByCallback(node);
      if (!sink) return;
      for (const text of texts.of(sink.message).map(tidied)) {
        if (fixedText(text).length < shortest) continue;
        found.set(`${sink.kind} ${file} ${text}`, { text, kind: sink.kind, file });
      }
    });
  }
  return [...found.values()];
}

/** A message in the page: a line of its own, in code quotes, that ends with a backslash. */
export function messagesInPage(): { text: string; line: number }[] {
  return textOf(page)
    .split("\n")
    .flatMap((line, i) => {
      const quoted = /^(?:- | {2})(`+)(.*?)\1\\$/.exec(line);
      return quoted ? [{ text: tidied(quoted[2] ?? ""), line: i + 1 }] : [];
    });
}

/** What is left of a message without what differs from time to time. */
export const fixedText = (text: string): string =>
  text
    .replaceAll(placeholder, "")
    .replace(/[\s:;,.()"]+/g, " ")
    .trim();

/** Names of functions are long, too, but one word. */
const isSentence = (text: string): boolean =>
  fixedText(text).length >= shortest && fixedText(text).includes(" ");

/** Placeholders that nothing but spaces parts are one, and so are spaces and line ends. */
const tidied = (text: string): string =>
  text
    .replace(/\s+/g, " ")
    .replace(/…(?: ?…)+/g, placeholder)
    .trim();

/** An expression whose text somebody is told, if `node` is where it is. */
function sinkOf(node: ts.Node): { kind: string; message: ts.Expression } | undefined {
  if (ts.isNewExpression(node)) {
    const kind = node.expression.getText();
    const message = node.arguments?.[messageAt[kind] ?? 0];
    return message && /Error$/.test(kind) ? { kind, message } : undefined;
  }
  if (!ts.isCallExpression(node)) return undefined;
  const called = node.expression.getText();
  const message = node.arguments[called.endsWith("roblems.add") ? 1 : 0];
  // What ends or prevents the common work of several processes, told to all of them.
  if (
    message &&
    /src\/distributed\//.test(node.getSourceFile().fileName) &&
    /\.(#refuse|#end|fail)$/.test(called)
  )
    return { kind: "rank", message };
  if (called.endsWith("#turnAway") && node.arguments[1]) return { kind: "rank", message: node.arguments[1] };
  if (message && called === "process.stderr.write") return { kind: "note", message };
  if (message && /(\bonWarning|\.warn)(\?\.)?$/i.test(called)) return { kind: "warning", message };
  return message && /roblems\.add$/.test(called) ? { kind: "DataError", message } : undefined;
}

/** Follows expressions to the texts that they may have. */
class Texts {
  readonly #checker: ts.TypeChecker;
  /** What functions are called with, by the function. */
  readonly #calls = new Map<ts.Node, ts.CallExpression[]>();
  readonly #following = new Set<ts.Node>();
  readonly #known = new Map<ts.Node, string[]>();

  constructor(checker: ts.TypeChecker, sources: readonly ts.SourceFile[]) {
    this.#checker = checker;
    for (const source of sources)
      each(source, (node) => {
        if (!ts.isCallExpression(node)) return;
        const called = this.#functionOf(node.expression);
        if (called) this.#calls.set(called, [...(this.#calls.get(called) ?? []), node]);
      });
  }

  of(node: ts.Expression): string[] {
    const texts = this.#follow(node);
    return texts.length > 0 ? texts : [placeholder];
  }

  /** What a function says to one that it was given, such as `refuse(reason)`, which makes an error of it. */
  refusedByCallback(node: ts.Node): { kind: string; message: ts.Expression } | undefined {
    if (!ts.isCallExpression(node) || !/^(refuse|problem|diverged)$/.test(node.expression.getText()))
      return undefined;
    const [message] = node.arguments;
    return message && !this.#functionOf(node.expression) ? { kind: "reason", message } : undefined;
  }

  /** The texts of an expression; a placeholder where it cannot be known. */
  #follow(node: ts.Expression): string[] {
    const known = this.#known.get(node);
    if (known) return known;
    if (this.#following.has(node) || this.#following.size > deepest) return [placeholder];
    this.#following.add(node);
    const all = [...new Set(this.#resolve(node))];
    this.#following.delete(node);
    const texts = all.length > mostAlternatives ? [placeholder] : all;
    this.#known.set(node, texts);
    return texts;
  }

  #resolve(node: ts.Expression): string[] {
    if (ts.isStringLiteralLike(node)) return [node.text];
    if (ts.isTemplateExpression(node)) {
      const parts: string[][] = [[node.head.text]];
      for (const { expression, literal } of node.templateSpans)
        parts.push(this.#worthwhile(expression), [literal.text]);
      return products(parts);
    }
    if (ts.isBinaryExpression(node)) {
      const { kind } = node.operatorToken;
      if (kind === ts.SyntaxKind.PlusToken)
        return products([this.#worthwhile(node.left), this.#worthwhile(node.right)]);
      if (kind === ts.SyntaxKind.QuestionQuestionToken || kind === ts.SyntaxKind.BarBarToken)
        return [...this.#follow(node.left), ...this.#follow(node.right)];
      return kind === ts.SyntaxKind.AmpersandAmpersandToken ? this.#follow(node.right) : [placeholder];
    }
    if (ts.isConditionalExpression(node))
      return [...this.#follow(node.whenTrue), ...this.#follow(node.whenFalse)];
    if (ts.isParenthesizedExpression(node) || ts.isAsExpression(node) || ts.isNonNullExpression(node))
      return this.#follow(node.expression);
    if (ts.isCallExpression(node)) return this.#returned(node);
    if (ts.isIdentifier(node)) return this.#named(node);
    if (ts.isElementAccessExpression(node)) return this.#rows(node.expression);
    if (ts.isPropertyAccessExpression(node)) return this.#fields(node);
    return [placeholder];
  }

  /** A part of a text: what it may be if that is a text worth reading, or a placeholder. */
  #worthwhile(node: ts.Expression): string[] {
    if (ts.isStringLiteralLike(node) || ts.isTemplateExpression(node)) return this.#follow(node);
    if (ts.isBinaryExpression(node) && node.operatorToken.kind === ts.SyntaxKind.PlusToken)
      return this.#follow(node);
    const texts = this.#follow(node).filter(
      (text) => isSentence(text) || this.#isUnknownArgument(node, text),
    );
    return texts.length > 0 ? texts : [placeholder];
  }

  /** Whether a function is called with something unknown here, besides sentences. */
  #isUnknownArgument(node: ts.Expression, text: string): boolean {
    const declaration = text === placeholder && ts.isIdentifier(node) && this.#declarationOf(node);
    return Boolean(declaration && ts.isParameter(declaration));
  }

  #declarationOf(node: ts.Node): ts.Declaration | undefined {
    let symbol = this.#checker.getSymbolAtLocation(node);
    if (symbol && symbol.flags & ts.SymbolFlags.Alias) symbol = this.#checker.getAliasedSymbol(symbol);
    return symbol?.valueDeclaration ?? symbol?.declarations?.[0];
  }

  #functionOf(called: ts.Expression): ts.SignatureDeclaration | undefined {
    // Methods of other objects would need these objects' types, which take a minute for all.
    const own = ts.isPropertyAccessExpression(called) && called.expression.kind === ts.SyntaxKind.ThisKeyword;
    if (!own && !ts.isIdentifier(called)) return undefined;
    let declaration: ts.Node | undefined = this.#declarationOf(own ? called.name : called);
    if (declaration && ts.isVariableDeclaration(declaration)) declaration = declaration.initializer;
    return declaration && ts.isFunctionLike(declaration) ? declaration : undefined;
  }

  /** What a function of ours returns. */
  #returned(call: ts.CallExpression): string[] {
    // A text of which something was replaced or cut off is still that text.
    if (
      ts.isPropertyAccessExpression(call.expression) &&
      /^(replace|replaceAll|trim)$/.test(call.expression.name.text)
    )
      return this.#follow(call.expression.expression);
    const called = this.#functionOf(call.expression);
    // `shown(value)` and `inWords(value)` are a value, whatever it is.
    return called && !/^(shown|inWords)$/.test(call.expression.getText())
      ? returns(called).flatMap((value) => this.#follow(value))
      : [placeholder];
  }

  /** The texts that a list holds. */
  #elements(list: ts.Expression): string[] {
    if (ts.isArrayLiteralExpression(list))
      return list.elements.flatMap((one) =>
        ts.isSpreadElement(one) ? this.#elements(one.expression) : this.#follow(one),
      );
    if (ts.isConditionalExpression(list))
      return [...this.#elements(list.whenTrue), ...this.#elements(list.whenFalse)];
    if (ts.isIdentifier(list)) {
      const declaration = this.#declarationOf(list);
      if (!declaration || !ts.isVariableDeclaration(declaration)) return [];
      const texts = declaration.initializer ? this.#elements(declaration.initializer) : [];
      each(list.getSourceFile(), (node) => {
        if (!ts.isCallExpression(node) || !/\.push$/.test(node.expression.getText())) return;
        const { expression } = node.expression as ts.PropertyAccessExpression;
        if (this.#declarationOf(expression) !== declaration) return;
        texts.push(...node.arguments.flatMap((argument) => this.#follow(argument)));
      });
      return texts;
    }
    if (!ts.isCallExpression(list)) return [];
    const called = this.#functionOf(list.expression);
    if (called) return returns(called).flatMap((value) => this.#elements(value));
    if (!ts.isPropertyAccessExpression(list.expression)) return [];
    const [made] = list.arguments;
    if (list.expression.name.text !== "map") return this.#elements(list.expression.expression);
    return made && ts.isFunctionLike(made) ? returns(made).flatMap((value) => this.#follow(value)) : [];
  }

  /** What a name stands for: a constant, or what its function is called with. */
  #named(name: ts.Identifier): string[] {
    const declaration = this.#declarationOf(name);
    if (!declaration) return [placeholder];
    const loop = declaration.parent?.parent;
    if (loop && ts.isForOfStatement(loop)) return this.#elements(loop.expression);
    if (ts.isVariableDeclaration(declaration) && declaration.initializer && ts.isIdentifier(declaration.name))
      return this.#follow(declaration.initializer);
    if (!ts.isParameter(declaration)) return [placeholder];
    const index = declaration.parent.parameters.indexOf(declaration);
    const given = (this.#calls.get(declaration.parent) ?? []).flatMap(
      ({ arguments: all }) => all[index] ?? [],
    );
    if (declaration.initializer) given.push(declaration.initializer);
    return given.flatMap((argument) => this.#follow(argument));
  }

  /** The texts of a table, such as `reasons[code]`. */
  #rows(table: ts.Expression): string[] {
    const declaration = this.#declarationOf(table);
    const rows = declaration && ts.isVariableDeclaration(declaration) ? declaration.initializer : undefined;
    if (!rows || !ts.isObjectLiteralExpression(rows)) return [placeholder];
    return rows.properties.flatMap((row) =>
      ts.isPropertyAssignment(row) ? this.#follow(row.initializer) : [],
    );
  }

  /** The texts that objects of the same file have under a name, such as `found.advice`. */
  #fields(access: ts.PropertyAccessExpression): string[] {
    const texts: string[] = [];
    each(access.getSourceFile(), (node) => {
      if (!ts.isPropertyAssignment(node) || node.name.getText() !== access.name.text) return;
      texts.push(...this.#follow(node.initializer));
    });
    return texts;
  }
}

/** What a function may return. */
function returns(called: ts.SignatureDeclaration): ts.Expression[] {
  const { body } = called as ts.FunctionLikeDeclaration;
  if (!body) return [];
  if (!ts.isBlock(body)) return [body];
  const found: ts.Expression[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isFunctionLike(node)) return;
    if (ts.isReturnStatement(node) && node.expression) found.push(node.expression);
    ts.forEachChild(node, visit);
  };
  visit(body);
  return found;
}

function each(node: ts.Node, visit: (node: ts.Node) => void): void {
  visit(node);
  ts.forEachChild(node, (child) => each(child, visit));
}

/** Every way through the parts, one alternative of each. */
function products(parts: readonly string[][]): string[] {
  const count = parts.reduce((product, { length }) => product * length, 1);
  const bounded =
    count > mostAlternatives ? parts.map((part) => (part.length > 1 ? [placeholder] : part)) : parts;
  return bounded.reduce<string[]>(
    (texts, part) => texts.flatMap((text) => part.map((next) => text + next)),
    [""],
  );
}

/** Whether a message of the code is what the page quotes; the quote's `…` may stand for more, but not for most of it. */
export function isQuoted(text: string, quote: string): boolean {
  if (fixedText(quote).length < fixedText(text).length / 2) return false;
  const pattern = quote.split(placeholder).map((part) => part.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&"));
  return new RegExp(`^${pattern.join(".+")}$`).test(text);
}
