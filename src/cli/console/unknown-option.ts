/** An option that there is not is pointed to the one that was meant: by its looks, or by what others call it. */
import type { Command } from "commander";
import { meantBy, type Rows } from "../../settings/table.js";

const unknown = /unknown option '(?:--)?([\w-]+)'/;

/** Adds "did you mean --lr?" to what a command says of `--learning-rate`. */
export function pointTheWay(command: Command, rows: Rows): void {
  const { outputError = (text, write) => write(text) } = command.configureOutput();
  command.configureOutput({ outputError: (text, write) => outputError(advised(text, command, rows), write) });
}

function advised(text: string, command: Command, rows: Rows): string {
  const name = unknown.exec(text)?.[1];
  if (name === undefined || text.includes("Did you mean")) return text;
  const options = new Map(
    command.options.map((option) => [option.attributeName(), option.long ?? option.flags]),
  );
  const meant = meantBy(name, [...options.keys()], rows);
  return meant === undefined ? text : `${text.trimEnd()} (Did you mean ${options.get(meant)}?)\n`;
}
