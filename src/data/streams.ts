/** First keys of the random streams of this folder, so that one seed serves all of them and no two draw the same. */
export const streams = { augmentation: 1, order: 2, split: 3, demo: 4 } as const;
