export declare function f<const T>(a: T): T;
