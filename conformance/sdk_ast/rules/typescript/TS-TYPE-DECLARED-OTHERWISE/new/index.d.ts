export type I = { a: string };
