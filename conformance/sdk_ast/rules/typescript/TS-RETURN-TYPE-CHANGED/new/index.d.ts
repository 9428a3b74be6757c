export declare function f(): Promise<string>;
