/**
 * Columns of a table that may tell who somebody is. What is known of images beside their labels ends in reports, by groups;
 * names, numbers and dates of people must not. They are told by their titles, and what they hold is replaced: equal values
 * stay equal, and dates keep their order, which is all that an analysis needs of them.
 */
import { pseudonym } from "../pseudonyms.js";

/** Words of titles that stand for people, as they are or in their numbers. */
const people = new Set(
  (
    "name names surname firstname lastname forename initials patient subject person participant mrn pid ssn nhs insurance " +
    "accession uid uids id ids identifier number birth birthdate birthday dob address phone email doctor physician " +
    "referrer referring operator"
  ).split(" "),
);
const times = new Set(
  "date dates datetime time timestamp acquired studydate seriesdate acquisitiondate".split(" "),
);
/** Words beside which a name or a number is that of a thing or a place. */
const things = new Set(
  "site scanner hospital center centre clinic device machine model manufacturer vendor protocol sequence probe ward".split(
    " ",
  ),
);

type Texts = readonly (string | undefined)[];

/** "PatientName", "patient_name" -> patient, name */
const wordsOf = (title: string): string[] =>
  title
    .replace(/(\p{Ll}|\d)(\p{Lu})/gu, "$1 $2")
    .toLowerCase()
    .split(/[^\p{L}\d]+/u);

/** What a column may be kept as. */
export function withoutIdentities(title: string, values: Texts): Texts {
  const words = wordsOf(title);
  if (words.some((word) => things.has(word))) return values;
  const isPersonal = words.some((word) => people.has(word));
  if (!isPersonal && words.some((word) => times.has(word))) return ranks(values);
  if (!isPersonal) return values;
  // A patient's age, sex or weight is no identity, though the title names the patient.
  const measured = words.some((word) =>
    /^(age|sex|gender|weight|height|size|count|position|orientation)$/.test(word),
  );
  return measured ? values : values.map((value) => value && pseudonym(value));
}

/** 1 for the earliest date, 2 for the next one; pseudonyms where one of them is no date. */
function ranks(values: Texts): Texts {
  const moments = new Map(values.map((value) => [value, value === undefined ? 0 : momentOf(value)]));
  if ([...moments.values()].some(Number.isNaN)) return values.map((value) => value && pseudonym(value));
  moments.delete(undefined);
  const order = [...new Set(moments.values())].sort((a, b) => a - b);
  const rank = new Map(order.map((moment, at) => [moment, String(at + 1)]));
  return values.map((value) => value && rank.get(moments.get(value) as number));
}

/** Of 20240131, as DICOM has it, of numbers such as years, and of what `Date` knows. */
function momentOf(text: string): number {
  const [, year, month, day] = /^(\d{4})(\d\d)(\d\d)$/.exec(text) ?? [];
  if (year) return Date.UTC(Number(year), Number(month) - 1, Number(day));
  return /^\d+(\.\d+)?$/.test(text) ? Number(text) : Date.parse(text);
}
