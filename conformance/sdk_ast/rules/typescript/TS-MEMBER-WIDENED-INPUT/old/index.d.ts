export interface I { a: string }
export declare function f(i: I): void;
