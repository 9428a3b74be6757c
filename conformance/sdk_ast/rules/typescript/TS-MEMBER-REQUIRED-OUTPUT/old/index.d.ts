export interface I { a?: string }
export declare function f(): I;
