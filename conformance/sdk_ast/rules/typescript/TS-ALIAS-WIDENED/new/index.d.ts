export type A = "a" | "b" | "c";
