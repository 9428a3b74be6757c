export type A = "a" | "b";
export declare function f(): A;
