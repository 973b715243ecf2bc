// How the benchmarks read their command lines.
import { parseArgs } from "node:util";

/**
 * What `interpret` makes of the values that were given. `--help` prints `help` and ends the process; what cannot be read,
 * and what `interpret` throws, ends it with exit code 2 and the help.
 *
 * @param program  what messages begin with
 * @param options  as parseArgs of node:util takes them, without `help`
 */
export function readArguments(program, help, options, interpret) {
  try {
    const { values } = parseArgs({ options: { ...options, help: { type: "boolean", default: false } } });
    if (values.help) {
      console.log(help);
      process.exit(0);
    }
    return interpret(values);
  } catch (error) {
    console.error(`${program}: ${error.message}\n\n${help}`);
    process.exit(2);
  }
}

/** @throws TypeError if the text given for `--name` is not a whole number of `least` or more */
export function wholeNumber(name, text, least = 1) {
  if (/^(0|[1-9]\d*)$/.test(text) && Number(text) >= least) return Number(text);
  throw new TypeError(`--${name}: "${text}" is not a whole number of ${least} or more`);
}
