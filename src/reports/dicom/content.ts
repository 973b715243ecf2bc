/** Items of a structured report's content (PS3.3, C.17.3), as data sets. */
import { type Dataset, decimalString, plainText } from "./writing.js";

/** A concept of a coding scheme. */
export interface Code {
  /** At most 16 characters; longer ones go into another attribute. */
  readonly code: string;
  /** Such as "SCT" for SNOMED CT, "RADLEX" or "99" and a name of one's own. */
  readonly scheme: string;
  /** In words. */
  readonly meaning: string;
  /** Of the scheme, where it has versions that matter. */
  readonly version?: string | undefined;
}

/** How an item belongs to the one that it is in. */
export type Relationship = "CONTAINS" | "HAS CONCEPT MOD" | "HAS OBS CONTEXT" | "HAS ACQ CONTEXT";

/** An image that is pointed at. */
export interface ImageReference {
  readonly sopClass: string;
  readonly sopInstance: string;
  /** From 1; of an image with several pictures. */
  readonly frames?: readonly number[] | undefined;
}

export const dcm = (code: string, meaning: string): Code => ({ code, scheme: "DCM", meaning });

export function codeItem({ code, scheme, meaning, version }: Code): Dataset {
  return {
    ...(code.length > 16 ? { LongCodeValue: code } : { CodeValue: code }),
    CodingSchemeDesignator: scheme,
    CodingSchemeVersion: version,
    CodeMeaning: plainText(meaning, 64),
  };
}

const item = (relationship: Relationship, type: string, name: Code | undefined, value: Dataset): Dataset => ({
  RelationshipType: relationship,
  ValueType: type,
  ...(name && { ConceptNameCodeSequence: [codeItem(name)] }),
  ...value,
});

export const coded = (relationship: Relationship, name: Code, value: Code): Dataset =>
  item(relationship, "CODE", name, { ConceptCodeSequence: [codeItem(value)] });

export const text = (relationship: Relationship, name: Code, value: string): Dataset =>
  item(relationship, "TEXT", name, { TextValue: value });

export const identifier = (relationship: Relationship, name: Code, uid: string): Dataset =>
  item(relationship, "UIDREF", name, { UID: uid });

export const dated = (relationship: Relationship, name: Code, date: string): Dataset =>
  item(relationship, "DATE", name, { Date: date });

export const measured = (relationship: Relationship, name: Code, value: number, unit: Code): Dataset =>
  item(relationship, "NUM", name, {
    MeasuredValueSequence: [
      { NumericValue: decimalString(value), MeasurementUnitsCodeSequence: [codeItem(unit)] },
    ],
  });

export const image = (reference: ImageReference, name?: Code, items: readonly Dataset[] = []): Dataset =>
  item("CONTAINS", "IMAGE", name, {
    ReferencedSOPSequence: [referenceItem(reference)],
    ...(items.length > 0 && { ContentSequence: items }),
  });

export function referenceItem({ sopClass, sopInstance, frames }: ImageReference): Dataset {
  return {
    ReferencedSOPClassUID: sopClass,
    ReferencedSOPInstanceUID: sopInstance,
    ...(frames && { ReferencedFrameNumber: frames.map(String) }),
  };
}

/** @param template  number of the template that it follows, where it begins one */
export const container = (name: Code, items: readonly Dataset[], template?: string): Dataset =>
  item("CONTAINS", "CONTAINER", name, {
    ContinuityOfContent: "SEPARATE",
    ...(template && { ContentTemplateSequence: [{ MappingResource: "DCMR", TemplateIdentifier: template }] }),
    ContentSequence: items,
  });
