export declare class C { protected a: string }
