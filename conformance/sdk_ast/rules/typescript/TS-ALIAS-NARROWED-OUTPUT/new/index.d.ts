export type A = "a";
export declare function f(): A;
