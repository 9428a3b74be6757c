export declare class C { a: string }
