export declare class C { a: string; private b }
