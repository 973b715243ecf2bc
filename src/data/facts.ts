/**
 * What a file is, for whoever asks before using it: facts by name, plain JSON. Nothing in them tells of a person: no name, no
 * number of a patient, no date, and no words that a file has for people.
 */

/** A fact; what a file does not say is undefined. */
export type Fact = string | number | boolean | undefined | readonly Fact[] | Facts;

/** Facts by name. */
export interface Facts {
  readonly [name: string]: Fact;
}
