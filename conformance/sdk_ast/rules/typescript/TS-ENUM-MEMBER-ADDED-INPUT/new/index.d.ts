export declare enum E { A = 1, B = 2, C = 3 }
export declare function f(e: E): void;
