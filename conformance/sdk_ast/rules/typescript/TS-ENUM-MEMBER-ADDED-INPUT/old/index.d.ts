export declare enum E { A = 1 }
export declare function f(e: E): void;
