export type A = "a" | "b";
