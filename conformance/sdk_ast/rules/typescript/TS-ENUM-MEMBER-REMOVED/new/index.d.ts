export declare enum E { A = 1 }
