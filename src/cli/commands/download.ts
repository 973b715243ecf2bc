/** `medmamba download`: a public data set, whole and checked. */
import { type Command, Option } from "commander";
import { download } from "../../data/sources/medmnist/download.js";
import { type MedMnistSize, medMnist, medMnistSizes } from "../../data/sources/medmnist/table.js";
import { withPlainOptions } from "../console/options.js";
import { interruptible, Terminal } from "../console/terminal.js";
import { byteSize, columns, shortPath } from "../console/wording.js";

interface DownloadCommandOptions {
  readonly size: string;
  readonly out: string;
  readonly from?: string;
  readonly overwrite?: boolean;
  readonly json?: boolean;
}

const sets = columns(
  Object.entries(medMnist).map(([name, { task, classes, images }]) => [
    name,
    `${images.train + images.val + images.test} images`,
    `${classes.length} ${task === "multi-label" ? "labels an image" : task === "ordinal" ? "grades" : "classes"}`,
  ]),
);

const examples = `
The sets of MedMNIST (https://medmnist.com), each in parts train, val and test:
${sets.map((line) => `  ${line}`).join("\n")}

What was interrupted goes on where it stopped; a file is there only when its
checksum is right. Without a connection, bring the file from elsewhere: the
message says from where, and --from names a mirror in your network.

Examples:
  $ medmamba download pneumoniamnist
  $ medmamba download pathmnist --size 64 --out data
  $ medmamba train --data pneumoniamnist.npz --out run --image-size 28`;

export function define(command: Command): void {
  command
    .description("Get a public data set of MedMNIST, to train on or to compare with.")
    .argument("<name>", "such as pneumoniamnist; all are listed below")
    .addOption(
      new Option("--size <pixels>", "side of the images").choices(medMnistSizes.map(String)).default("28"),
    )
    .option("--out <folder>", "where the file goes", ".")
    .option("--from <address>", "a folder on a server with the files (default: where they are published)")
    .option("--overwrite", "replace a file that is there and is not as published");
  withPlainOptions(command).addHelpText("after", examples).action(run);
}

async function run(name: string, options: DownloadCommandOptions): Promise<void> {
  const terminal = new Terminal(options);
  const { out, from, overwrite } = options;
  await interruptible(terminal, "Stopping; what has come is kept.", async (signal) => {
    const size = Number(options.size) as MedMnistSize;
    const result = await download(name, {
      size,
      directory: out,
      from,
      overwrite,
      signal,
      onProgress: ({ bytes, total }) =>
        terminal.progress(
          `${name}: ${byteSize(bytes)}${total === undefined ? "" : ` of ${byteSize(total)}`}`,
        ),
    });
    const { classes, task, images, license } = medMnist[result.name];
    const { train, val, test } = images;
    terminal.print(
      `${shortPath(result.path)}: ${byteSize(result.bytes)}, ${result.already ? "there already, and as published" : "as published"} (MD5 ${result.md5}).`,
    );
    terminal.print(
      `${train} images to train, ${val} to validate, ${test} to test; ${task}: ${classes.join(", ")}.`,
    );
    terminal.print(`License: ${license}.`);
    terminal.result({ ...result, task, classes, images, license });
  });
}
