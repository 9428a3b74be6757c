export declare function f(): string | undefined;
