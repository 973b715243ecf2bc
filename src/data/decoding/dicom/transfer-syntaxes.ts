/** How data sets and pixels may be written: the transfer syntaxes of PS3.6, table A-1, and who decodes which. */
import type { CodecName } from "./codecs/codecs.js";

/** One way to write a DICOM object. */
export interface TransferSyntax {
  readonly uid: string;
  readonly name: string;
  /** Elements carry the type of their values; only Implicit VR Little Endian lacks that. */
  readonly explicit: boolean;
  readonly bigEndian: boolean;
  readonly deflated: boolean;
  /** Who decodes a frame; undefined if pixels are not compressed. "unknown" if no codec of ours does. */
  readonly codec: CodecName | "unknown" | undefined;
}

/** UID after 1.2.840.10008.1.2, name, codec. Those that say "unknown" are named where they are refused. */
const rows: readonly (readonly [string, string, TransferSyntax["codec"]])[] = [
  ["", "Implicit VR Little Endian", undefined],
  [".1", "Explicit VR Little Endian", undefined],
  [".1.98", "Encapsulated Uncompressed Explicit VR Little Endian", "none"],
  [".1.99", "Deflated Explicit VR Little Endian", undefined],
  [".2", "Explicit VR Big Endian", undefined],
  [".4.50", "JPEG Baseline (Process 1)", "jpeg"],
  [".4.51", "JPEG Extended (Process 2 and 4)", "jpeg"],
  [".4.53", "JPEG Spectral Selection, Non-Hierarchical (Process 6 and 8)", "jpeg"],
  [".4.55", "JPEG Full Progression, Non-Hierarchical (Process 10 and 12)", "jpeg"],
  [".4.57", "JPEG Lossless, Non-Hierarchical (Process 14)", "jpegLossless"],
  [
    ".4.70",
    "JPEG Lossless, Non-Hierarchical, First-Order Prediction (Process 14, Selection Value 1)",
    "jpegLossless",
  ],
  [".4.80", "JPEG-LS Lossless", "jpegLs"],
  [".4.81", "JPEG-LS Lossy (Near-Lossless)", "jpegLs"],
  [".4.90", "JPEG 2000 (Lossless Only)", "jpeg2000"],
  [".4.91", "JPEG 2000", "jpeg2000"],
  [".4.92", "JPEG 2000 Part 2 Multi-component (Lossless Only)", "unknown"],
  [".4.93", "JPEG 2000 Part 2 Multi-component", "unknown"],
  [".4.94", "JPIP Referenced", "unknown"],
  [".4.95", "JPIP Referenced Deflate", "unknown"],
  [".4.100", "MPEG2 Main Profile / Main Level", "unknown"],
  [".4.101", "MPEG2 Main Profile / High Level", "unknown"],
  [".4.102", "MPEG-4 AVC/H.264 High Profile / Level 4.1", "unknown"],
  [".4.103", "MPEG-4 AVC/H.264 BD-compatible High Profile / Level 4.1", "unknown"],
  [".4.104", "MPEG-4 AVC/H.264 High Profile / Level 4.2 For 2D Video", "unknown"],
  [".4.105", "MPEG-4 AVC/H.264 High Profile / Level 4.2 For 3D Video", "unknown"],
  [".4.106", "MPEG-4 AVC/H.264 Stereo High Profile / Level 4.2", "unknown"],
  [".4.107", "HEVC/H.265 Main Profile / Level 5.1", "unknown"],
  [".4.108", "HEVC/H.265 Main 10 Profile / Level 5.1", "unknown"],
  [".4.110", "JPEG XL Lossless", "unknown"],
  [".4.111", "JPEG XL JPEG Recompression", "unknown"],
  [".4.112", "JPEG XL", "unknown"],
  [".4.201", "High-Throughput JPEG 2000 (Lossless Only)", "htj2k"],
  [".4.202", "High-Throughput JPEG 2000 with RPCL Options (Lossless Only)", "htj2k"],
  [".4.203", "High-Throughput JPEG 2000", "htj2k"],
  [".4.204", "JPIP HTJ2K Referenced", "unknown"],
  [".4.205", "JPIP HTJ2K Referenced Deflate", "unknown"],
  [".5", "RLE Lossless", "rle"],
  [".8.1", "Deflated Image Frame Compression", "deflatedFrame"],
];

const root = "1.2.840.10008.1.2";
const known: ReadonlyMap<string, TransferSyntax> = new Map(
  rows.map(([suffix, name, codec]) => {
    const uid = root + suffix;
    const syntax = {
      uid,
      name,
      explicit: suffix !== "",
      bigEndian: suffix === ".2",
      deflated: suffix === ".1.99",
      codec,
    };
    return [uid, syntax];
  }),
);

/** The transfer syntax of a UID; one that is in no table is taken to be compressed, as all new ones are. */
export function transferSyntax(uid: string): TransferSyntax {
  const found = known.get(uid);
  if (found) return found;
  // What a file says in place of a UID might be anything, a patient's name included.
  const named = /^[0-9.]{1,64}$/.test(uid) ? uid : "";
  return {
    uid: named,
    name: "of no table",
    explicit: true,
    bigEndian: false,
    deflated: false,
    codec: "unknown",
  };
}

export const implicitLittleEndian = transferSyntax(root);
export const explicitLittleEndian = transferSyntax(`${root}.1`);
export const explicitBigEndian = transferSyntax(`${root}.2`);
