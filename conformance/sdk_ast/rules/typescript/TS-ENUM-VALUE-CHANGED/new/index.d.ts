export declare enum E { A = 2 }
