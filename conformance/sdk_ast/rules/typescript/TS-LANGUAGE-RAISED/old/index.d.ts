export declare function f<T>(a: T): T;
