export declare enum E { A = 1, B = 2 }
export declare function f(e: E): void;
