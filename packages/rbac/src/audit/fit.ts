/** Text from outside, cut to what a column holds: without NUL, which PostgreSQL refuses, and halves of characters. */
export const fit = (text: string, length: number): string => text.slice(0, length).replace(/[\0\p{Cs}]/gu, '\uFFFD')
