export type A = "a";
