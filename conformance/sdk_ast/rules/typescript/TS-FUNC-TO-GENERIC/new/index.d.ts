export declare function f<T extends string>(a: T): void;
