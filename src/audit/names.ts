/** Where an image is within its data set, not where that is on this machine. */

/** The names without the folders that all of them have in common. @returns the name of an image by its number */
export function nameWithin(names: readonly string[]): (at: number) => string {
  const folders = names.map((name) => name.split(/[\\/]/).slice(0, -1));
  const [first = []] = folders;
  let common = first.length;
  for (const own of folders) {
    let same = 0;
    while (same < common && own[same] === first[same]) same += 1;
    common = same;
  }
  return (at) => (names[at] ?? "").split(/[\\/]/).slice(common).join("/");
}
