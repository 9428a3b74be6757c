export declare const enum E { A = 1 }
