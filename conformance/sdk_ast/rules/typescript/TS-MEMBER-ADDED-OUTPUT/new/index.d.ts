export interface I { a: string; b: string }
export declare function f(): I;
