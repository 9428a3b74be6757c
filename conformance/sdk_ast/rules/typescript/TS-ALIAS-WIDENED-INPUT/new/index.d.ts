export type A = "a" | "b" | "c";
export declare function f(a: A): void;
